"""Operators on expressions: arithmetic, relational, logical, unary, operand deletion."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from stepnav.mutate.program.edit import (
    AND,
    BINARY,
    COMPARE,
    COMPARISONS,
    NOT,
    OR,
    POWER,
    Edit,
    Place,
    operand,
    replace,
    swap_operator,
)
from stepnav.mutate.program.source import Source

ARITHMETIC: Mapping[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.FloorDiv),
    ast.Div: (ast.FloorDiv, ast.Mult),
    ast.FloorDiv: (ast.Div, ast.Mod),
    ast.Mod: (ast.FloorDiv, ast.Mult),
    ast.Pow: (ast.Mult,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd, ast.BitXor),
    ast.BitXor: (ast.BitOr,),
}

RELATIONAL: Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
"""Comparison -> the one that differs at the boundary, and the opposite."""


def arithmetic(source: Source, place: Place) -> Iterator[Edit | None]:
    """`a + b` -> `a - b`, `a * b`."""
    node = place.node
    if isinstance(node, ast.BinOp):
        for kind in ARITHMETIC.get(type(node.op), ()):
            yield swap_operator(source, place, (node.left, node.right), BINARY[kind])


def relational(source: Source, place: Place) -> Iterator[Edit | None]:
    """`a < b` -> `a <= b`, `a >= b`; in a chain, one comparison at a time."""
    node = place.node
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for op, left, right in zip(node.ops, sides, sides[1:]):
            for kind in RELATIONAL[type(op)]:
                yield swap_operator(source, place, (left, right), (COMPARISONS[kind], COMPARE))


def logical(source: Source, place: Place) -> Iterator[Edit | None]:
    """`a and b` -> `a or b`; of more than two operands all operators change."""
    node = place.node
    if not isinstance(node, ast.BoolOp):
        return
    new = ("or", OR) if isinstance(node.op, ast.And) else ("and", AND)
    if len(node.values) == 2:
        yield swap_operator(source, place, (node.values[0], node.values[1]), new)
        return
    texts = [operand(source, value, new[1] + 1) for value in node.values]
    yield replace(source, place, f" {new[0]} ".join(texts))


def unary(source: Source, place: Place) -> Iterator[Edit | None]:
    """`-x` -> `x`, `not x` -> `x`; `if c` -> `if not c`; `return x` -> `return -x`, `not x`."""
    node = place.node
    if isinstance(node, ast.UnaryOp):
        yield replace(source, place, source.segment(node.operand))
    elif isinstance(node, (ast.If, ast.While)):
        if not _is_negation(node.test):
            yield _wrapped(source, node.test, f"not {operand(source, node.test, NOT)}")
    elif isinstance(node, ast.Return) and node.value is not None:
        value = node.value
        if isinstance(value, (ast.Compare, ast.BoolOp)):
            yield _wrapped(source, value, f"not {operand(source, value, NOT)}")
        elif isinstance(value, (ast.BinOp, ast.Name)):
            yield _wrapped(source, value, f"-{operand(source, value, POWER)}")


def operand_deletion(source: Source, place: Place) -> Iterator[Edit | None]:
    """`a + b` -> `a`, `b`; `a and b and c` -> `b and c`, `a and c`, `a and b`."""
    node = place.node
    if isinstance(node, ast.BinOp):
        yield replace(source, place, source.segment(node.left))
        yield replace(source, place, source.segment(node.right))
    elif isinstance(node, ast.BoolOp):
        word, level = (" and ", AND) if isinstance(node.op, ast.And) else (" or ", OR)
        for dropped in range(len(node.values)):
            kept = [value for index, value in enumerate(node.values) if index != dropped]
            least = level + 1 if len(kept) > 1 else 0
            yield replace(source, place, word.join(operand(source, v, least) for v in kept))


def _is_negation(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _wrapped(source: Source, node: ast.expr, text: str) -> Edit:
    """Return the edit of an expression that stands alone, so that any text may replace it."""
    return Edit(*source.span(node), text)
