"""Reads docstrings as this package writes them: no blank line before a section, `a, b: both`."""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTION = re.compile(r"(?<=[^\n])\n(?=(?:Args|Attributes|Example|Raises|Returns|Yields):)")
_PAIR = re.compile(r"^  (\w+(?:, \w+)+): (.*(?:\n    .*)*)", re.MULTILINE)


def usual(text: str) -> str:
    """Return a docstring with a blank line before each section and one line for each argument."""
    return _PAIR.sub(_one_each, _SECTION.sub("\n\n", text))


def _one_each(match: re.Match[str]) -> str:
    return "\n".join(f"  {name}: {match[2]}" for name in match[1].split(", "))


class Usual(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one."""
        if obj.docstring is not None:
            obj.docstring.value = usual(obj.docstring.value)
