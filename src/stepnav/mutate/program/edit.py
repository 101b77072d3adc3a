"""A change of a program's text: one span replaced, every character outside it kept.

An expression put in another's place is set in parentheses where its new neighbours bind tighter
than it does, and only there. Precedence as in "The Python Language Reference", section 6.17.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stepnav.mutate.program.source import Source

LOWEST, TERNARY, OR, AND, NOT, COMPARE, BIT_OR, BIT_XOR, BIT_AND, SHIFT, SUM, PRODUCT, SIGN = range(
    13
)
POWER, ATOM = 13, 14

BINARY: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: ("+", SUM),
    ast.Sub: ("-", SUM),
    ast.Mult: ("*", PRODUCT),
    ast.MatMult: ("@", PRODUCT),
    ast.Div: ("/", PRODUCT),
    ast.FloorDiv: ("//", PRODUCT),
    ast.Mod: ("%", PRODUCT),
    ast.Pow: ("**", POWER),
    ast.LShift: ("<<", SHIFT),
    ast.RShift: (">>", SHIFT),
    ast.BitAnd: ("&", BIT_AND),
    ast.BitXor: ("^", BIT_XOR),
    ast.BitOr: ("|", BIT_OR),
}
"""Binary operator -> its text and how tightly it binds."""

COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}

_COMMENT = re.compile(r"#[^\r\n]*")


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """One replacement.

    Attributes:
      start, end: the span in the program, in characters; end is exclusive.
      text: what takes its place.
    """

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """A node and where it stands.

    Attributes:
      node: the node.
      parent: the node that holds it.
      field: the parent's field that holds it.
      index: its position where that field is a list, else 0.
      scope: names that hold values where the node stands, sorted.
    """

    node: ast.AST
    parent: ast.AST
    field: str
    index: int
    scope: tuple[str, ...]


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with edits made that do not overlap."""
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def replace(source: Source, place: Place, text: str) -> Edit:
    """Return the edit that puts an expression in a node's place, in parentheses if needed."""
    start, end = source.span(place.node)
    if binding_of(text) < binding_needed(place) and not is_enclosed(source.text, start, end):
        text = f"({text})"
    return Edit(start, end, text)


def operand(source: Source, node: ast.expr, at_least: int) -> str:
    """Return a node's text, in parentheses where it binds less tightly than `at_least`."""
    text = source.segment(node)
    if isinstance(node, ast.GeneratorExp) and not text.startswith("("):
        return f"({text})"
    return text if binding(node) >= at_least else f"({text})"


def swap_operator(
    source: Source, place: Place, pair: tuple[ast.expr, ast.expr], new: tuple[str, int]
) -> Edit | None:
    """Return the edit that puts another operator between two operands.

    Args:
      source: the program.
      place: the operation.
      pair: the operands on both sides of the operator.
      new: the operator's text and how tightly it binds.
    Returns:
      The operator's own span where the operands stay operands of it; else the whole operation with
      parentheses; None where the operator cannot be found.
    """
    text, level = new
    between = source.span(pair[0])[1], source.span(pair[1])[0]
    token = _operator_span(source.text, *between)
    if token is None:
        return None
    sides = (ATOM, SIGN) if level == POWER else (level, level + 1)
    bare = [_needs_parentheses(source, node, least) for node, least in zip(pair, sides)]
    outer = level < binding_needed(place) and not is_enclosed(source.text, *source.span(place.node))
    if not any(bare) and not outer:
        return Edit(*token, text)
    start, end = source.span(place.node)
    edits = [Edit(token[0], token[1], text)]
    for node, needs in zip(pair, bare):
        if needs:
            left, right = source.span(node)
            edits += [Edit(left, left, "("), Edit(right, right, ")")]
    shifted = [Edit(e.start - start, e.end - start, e.text) for e in edits]
    whole = apply_edits(source.text[start:end], shifted)
    return Edit(start, end, f"({whole})" if outer else whole)


def number_text(value: int) -> str:
    """Return a whole number's literal: decimal, or hexadecimal if it is too long for Python."""
    try:
        return str(value)
    except ValueError:
        return hex(value)


def shifted(source: Source, node: ast.expr) -> Iterator[Edit]:
    """Yield the edits that add 1 to and take 1 from an expression that stands alone.

    `n - 1` becomes `n` and `n - 2`, as a person would write it.
    """
    span = source.span(node)
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield Edit(*span, number_text(node.value + 1))
        yield Edit(*span, number_text(node.value - 1))
        return
    if _is_sum_with_one(node):
        assert isinstance(node, ast.BinOp), "a sum"
        yield Edit(*span, source.segment(node.left))
        yield Edit(*source.span(node.right), "2")
        return
    text = operand(source, node, SUM)
    yield Edit(*span, f"{text} + 1")
    yield Edit(*span, f"{text} - 1")


def _is_sum_with_one(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, (ast.Add, ast.Sub))
        and isinstance(node.right, ast.Constant)
        and node.right.value == 1
    )


def binding(node: ast.AST) -> int:
    """Return how tightly the text of an expression binds."""
    if isinstance(node, ast.BinOp):
        return BINARY[type(node.op)][1]
    if isinstance(node, ast.UnaryOp):
        return NOT if isinstance(node.op, ast.Not) else SIGN
    if isinstance(node, ast.BoolOp):
        return AND if isinstance(node.op, ast.And) else OR
    for kind, level in _BINDINGS:
        if isinstance(node, kind):
            return level
    return ATOM


_BINDINGS: tuple[tuple[type[ast.AST] | tuple[type[ast.AST], ...], int], ...] = (
    ((ast.Lambda, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.Starred), LOWEST),
    (ast.IfExp, TERNARY),
    (ast.Compare, COMPARE),
)


def binding_of(text: str) -> int:
    """Return how tightly an expression's text binds."""
    if text.isidentifier() or text.isdigit():
        return ATOM
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:  # it goes over lines, and stood in brackets
        return LOWEST - 1
    if isinstance(node, ast.Tuple) and not text.startswith("("):
        return LOWEST
    return binding(node)


def binding_needed(place: Place) -> int:
    """Return how tightly an expression must bind to stand bare in a place."""
    parent, field = place.parent, place.field
    if isinstance(parent, ast.BinOp):
        level = BINARY[type(parent.op)][1]
        if isinstance(parent.op, ast.Pow):
            return POWER + 1 if field == "left" else SIGN
        return level if field == "left" else level + 1
    if isinstance(parent, (ast.BoolOp, ast.Compare)):
        return binding(parent) + 1
    if isinstance(parent, ast.UnaryOp):
        return binding(parent)
    if isinstance(parent, ast.IfExp):
        return TERNARY if field == "orelse" else OR
    if isinstance(parent, (ast.Attribute, ast.Await)) or field == "func":
        return ATOM
    if isinstance(parent, ast.Subscript):
        return ATOM if field == "value" else LOWEST
    if isinstance(parent, ast.comprehension):
        return OR
    return BIT_OR if isinstance(parent, ast.Starred) else TERNARY


def is_enclosed(text: str, start: int, end: int) -> bool:
    """Return whether a span stands directly between parentheses."""
    return text[:start].rstrip()[-1:] == "(" and text[end:].lstrip()[:1] == ")"


def _needs_parentheses(source: Source, node: ast.expr, at_least: int) -> bool:
    return binding(node) < at_least and not is_enclosed(source.text, *source.span(node))


def _operator_span(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return the span of the one operator between two operands."""
    masked = _COMMENT.sub(lambda found: " " * len(found.group()), text[start:end])
    found = re.search(r"[^\s()\\](?:[^()\\]*[^\s()\\])?", masked)
    return None if found is None else (start + found.start(), start + found.end())
