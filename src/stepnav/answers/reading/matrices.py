"""Reading matrices and determinants."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from stepnav.answers import value as v
from stepnav.answers.expression import Expression, Point, UnreadableError
from stepnav.answers.forms import Form, Matrix, Quantity
from stepnav.answers.value import Value

Reader = Callable[[str], Form]

_MATRIX = re.compile(
    r"([^&]*?)\s*[(\[]?\s*\\begin\{([pbBv]?matrix|smallmatrix|array)\}(?:\{[^{}]*\})?(.*?)"
    r"\\end\{(?:[pbBv]?matrix|smallmatrix|array)\}\s*[)\]]?\s*(\^\s*\{?\s*(?:T|\\top)\s*\}?)?",
    re.DOTALL,
)


def read_matrix(text: str, read: Reader) -> Form | None:
    """Return the matrix, or the number if it is a determinant; None if the text is neither.

    Raises:
      UnreadableError: its rows are of different lengths.
    """
    match = _MATRIX.fullmatch(text)
    if match is None:
        return None
    factor, kind, body, transposed = match.groups()
    is_determinant = kind == "vmatrix" or factor.strip() == "\\det"
    factor = factor.replace("\\det", "")
    cells = [line.split("&") for line in body.replace("\\hline", "").split("\\\\") if line.strip()]
    if not cells or len({len(row) for row in cells}) != 1:
        raise UnreadableError
    prefix = f"({factor})" if factor.strip() not in ("", "-") else factor
    rows = [tuple(read(f"{prefix}({cell})" if prefix else cell) for cell in row) for row in cells]
    if is_determinant:
        return Quantity(_determinant(rows))
    return Matrix(tuple(zip(*rows)) if transposed else tuple(rows))


def _determinant(rows: Sequence[Sequence[Form]]) -> Expression:
    cells = [[c.expression for c in row if isinstance(c, Quantity)] for row in rows]
    if any(len(row) != len(rows) for row in cells) or len(rows) > 4:
        raise UnreadableError

    def expanded(point: Point, columns: tuple[int, ...]) -> Value:
        if not columns:
            return Fraction(1)
        total: Value = Fraction(0)
        for place, column in enumerate(columns):
            minor = expanded(point, columns[:place] + columns[place + 1 :])
            cell = cells[len(rows) - len(columns)][column].run(point)
            total = v.add(total, v.multiply(Fraction((-1) ** place), v.multiply(cell, minor)))
        return total

    names = frozenset().union(*(cell.names for row in cells for cell in row))
    return Expression(lambda point: expanded(point, tuple(range(len(rows)))), names)
