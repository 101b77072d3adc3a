"""Reads the texts of the plain questions: words, templates and relations, one text file each.

A line that begins with "# " is the heading of the lines below it, up to the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def read_tables(path: Path) -> Mapping[str, tuple[str, ...]]:
    """Return heading -> lines of a text file, blank lines left out."""
    text = path.read_text(encoding="utf-8")
    found: dict[str, tuple[str, ...]] = {}
    for part in text.removeprefix("# ").split("\n# "):
        heading, *lines = part.splitlines()
        found[heading] = tuple(line for line in lines if line)
    return found


TEXTS = read_tables(Path(__file__).with_name("texts.txt"))
"""Templates of `wording.py`, by what they are for."""
