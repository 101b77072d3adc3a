"""Which trees hold programs: their steps keep their indentation."""

from __future__ import annotations

import re
from collections.abc import Iterable

from stepnav.core.records import Problem, trimmed

_PYTHON = re.compile(
    r"^[ \t]*(?:def \w+\(|class \w+[:(]|for \w+(?:, ?\w+)* in .+:$"
    r"|from [\w.]+ import \w|import \w+$)"
    r"|^(?:  |\t)[ \t]*(?:return|if|elif|else|while|with|try)\b",
    re.MULTILINE,
)
"""Lines that Python has and prose has not: words alone are in both."""


def is_program(problem: Problem, texts: Iterable[str] = ()) -> bool:
    """Return whether solutions of a problem are programs: its task says so, or its text looks so.

    Args:
      problem: code tasks name the function that they want.
      texts: steps of solutions, where there are some.
    """
    if "entry_point" in problem.metadata or _PYTHON.search(problem.question):
        return True
    return any(_PYTHON.search(text) for text in texts)


def code_text(step: str) -> str:
    r"""Return a step of a program with its indentation in blanks, blank lines around it left out.

    Example:
      >>> code_text("\n\treturn 1\n")
      '    return 1'
    """
    return trimmed(step).expandtabs(4)
