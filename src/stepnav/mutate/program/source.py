r"""A program's text with its syntax tree, and the way from a node to its place in the text.

`ast` counts columns in UTF-8 bytes and lines as the tokenizer does (`\n`, `\r\n` and a lone
`\r` end a line; form feeds and Unicode separators do not); here every place is an offset in
characters of the unchanged text.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from types import CodeType

from stepnav.core.errors import DataError

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)
"""What `ast.parse` and `compile` raise on text that is no program."""


@dataclass(frozen=True)
class Source:
    """A program that parses.

    Attributes:
      text: the program, character for character as it was given.
      tree: its syntax tree.
    """

    text: str
    tree: ast.Module

    @cached_property
    def lines(self) -> list[str]:
        """The lines with their ends; joined they are `text`."""
        return split_lines(self.text)

    @cached_property
    def starts(self) -> list[int]:
        """Offset of each line's first character, and the length of the text at the end."""
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line))
        return starts

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a place given as `ast` gives it: line from 1, column in bytes."""
        if line > len(self.lines):
            return len(self.text)
        text = self.lines[line - 1]
        if text.isascii():
            return self.starts[line - 1] + column
        return self.starts[line - 1] + len(text.encode()[:column].decode())

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return the start and the end of a node that has a place."""
        place: ast.expr = node  # type: ignore[assignment]
        assert place.end_lineno is not None and place.end_col_offset is not None, "no place"
        return (
            self.offset(place.lineno, place.col_offset),
            self.offset(place.end_lineno, place.end_col_offset),
        )

    def segment(self, node: ast.AST) -> str:
        """Return a node's text."""
        start, end = self.span(node)
        return self.text[start:end]


def parse(text: str, name: str = "the program") -> Source:
    """Return a program with its tree.

    Raises:
      DataError: it does not parse; one line that says where.
    """
    try:
        tree = _parsed(text)
        compiled(text)
    except SyntaxError as error:
        raise DataError(
            f"{name} does not parse: {error.msg}, line {error.lineno}; give a valid Python program"
        ) from None
    except _BROKEN as error:
        raise DataError(f"{name} does not parse: {error or type(error).__name__}") from None
    return Source(text, tree)


def parses(text: str) -> bool:
    """Return whether the text is a program that compiles."""
    try:
        compiled(text)
    except _BROKEN:
        return False
    return True


def compiled(text: str) -> CodeType:
    """Return the compiled program; warnings about its style are not shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(text, "<program>", "exec", dont_inherit=True)


def split_lines(text: str) -> list[str]:
    r"""Return the lines as the tokenizer counts them, with their ends.

    Example:
      >>> split_lines("a = 1\r\nb = 2")
      ['a = 1\r\n', 'b = 2']
    """
    return _LINE.findall(text)


def _parsed(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)
