"""A program as a prompt and steps; joined, they are the program byte for byte.

A step is a simple statement or the header of a compound one, in source order. What stands between
the step before and this one belongs to this one: comment lines, blank lines, and the lines of
`else:`, `except:`, `finally:` and `case`. An `elif` is a header, so it begins a step. Steps are
whole lines: statements that share a line are one step. What follows the last statement belongs to
the last step.

The prompt is the longest run at the beginning that holds only imports, docstrings and the headers
of `def` and `class` (decorators included). A helper function or an import that comes after the
first step is a step like any other, with its docstring. A `def` with its body on its own line is a
step too, as it holds a statement.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from stepnav.mutate.program.source import Source

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Split:
    """A program in parts.

    Attributes:
      prompt: what is given: imports, the header of the function, its docstring.
      steps: the steps' texts, line ends included.
    """

    prompt: str
    steps: tuple[str, ...]

    def step_at(self, offset: int) -> int | None:
        """Return the index of the step that holds the character at an offset of the program.

        None if it stands in the prompt.
        """
        starts = [len(self.prompt)]
        for step in self.steps:
            starts.append(starts[-1] + len(step))
        index = bisect_right(starts, offset) - 1
        return None if index < 0 else min(index, len(self.steps) - 1)

    def start(self, index: int) -> int:
        """Return the offset in the program at which a step begins."""
        return len(self.prompt) + sum(map(len, self.steps[:index]))


@dataclass(slots=True)
class _Piece:
    """Whole lines that belong together.

    Attributes:
      first, last: the lines, from 1.
      is_given: whether they may stand in the prompt.
      is_docstring: whether they are the docstring of the piece before.
    """

    first: int
    last: int
    is_given: bool
    is_docstring: bool = False


def split_steps(source: Source) -> Split:
    """Return the prompt and the steps of a program."""
    pieces = _merged(list(_pieces(source, source.tree.body, has_docstring=True)))
    num_given = next((i for i, piece in enumerate(pieces) if not piece.is_given), len(pieces))
    ends = [source.starts[piece.last] for piece in pieces]
    if pieces:
        ends[-1] = len(source.text)
    prompt_end = ends[num_given - 1] if num_given else 0
    bounds = [prompt_end, *ends[num_given:]]
    steps = tuple(source.text[start:end] for start, end in pairwise(bounds))
    return Split(source.text[:prompt_end], steps) if pieces else Split(source.text, ())


def _pieces(
    source: Source, body: Sequence[ast.stmt], *, has_docstring: bool = False
) -> Iterator[_Piece]:
    """Yield the statements of a block, and those inside them, in source order."""
    for number, node in enumerate(body):
        first = _first_line(node)
        if number == 0 and has_docstring and is_docstring(node):
            yield _Piece(first, node.end_lineno or first, True, True)
            continue
        inner = list(_blocks(node))
        if not inner:
            is_import = isinstance(node, (ast.Import, ast.ImportFrom))
            yield _Piece(first, node.end_lineno or first, is_import)
            continue
        yield _header(source, node, first, _body_line(node, inner[0]))
        for block in inner:
            yield from _pieces(source, block, has_docstring=isinstance(node, _DEFINITIONS))


def _header(source: Source, node: ast.stmt, first: int, body: int) -> _Piece:
    """Return the header of a compound statement whose body begins on line `body`."""
    last = max(first, body - 1)
    while last > first and source.lines[last - 1].strip()[:1] in ("", "#"):
        last -= 1
    return _Piece(first, last, isinstance(node, _DEFINITIONS) and body > first)


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """Yield the blocks of a compound statement, in source order."""
    if isinstance(node, ast.Match):
        yield from (case.body for case in node.cases)
        return
    for name in ("body", "handlers", "orelse", "finalbody"):
        block = getattr(node, name, None) or []
        if name == "handlers":
            yield from (handler.body for handler in block)
        elif block:
            yield block


def _merged(pieces: list[_Piece]) -> list[_Piece]:
    """Return pieces of whole lines: what shares a line is one, a docstring joins its header."""
    merged: list[_Piece] = []
    for piece in pieces:
        if merged and (piece.is_docstring or piece.first <= merged[-1].last):
            merged[-1].last = max(merged[-1].last, piece.last)
            merged[-1].is_given = merged[-1].is_given and piece.is_given
        else:
            merged.append(piece)
    return merged


def _body_line(node: ast.stmt, block: list[ast.stmt]) -> int:
    """Return the line after the header: that of the first `case`, or of the first statement."""
    return node.cases[0].pattern.lineno if isinstance(node, ast.Match) else _first_line(block[0])


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def is_docstring(node: ast.stmt) -> bool:
    """Return whether a statement is a bare string."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
