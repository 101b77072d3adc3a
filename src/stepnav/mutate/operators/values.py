"""Operators on values: constants, off by one, strings, variables, indices, slices."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from stepnav.mutate.program.edit import Edit, Place, number_text, replace, shifted
from stepnav.mutate.program.source import Source

MAX_VARIABLES = 3
"""Other variables tried at one place: those nearest in the alphabet."""

_ORDERINGS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def constant(source: Source, place: Place) -> Iterator[Edit | None]:
    """`True` -> `False`; a whole number -> 0, 1, its double; a float -> its double, 0.0."""
    value = getattr(place.node, "value", None)
    if isinstance(value, bool):
        yield replace(source, place, str(not value))
    elif value is None and isinstance(place.node, ast.Constant):
        yield replace(source, place, "0")
    elif isinstance(value, int):
        candidates = dict.fromkeys([0, 1, 2 * value])
        near = (value - 1, value, value + 1)
        yield from (replace(source, place, number_text(v)) for v in candidates if v not in near)
    elif isinstance(value, float):
        for other in dict.fromkeys([2 * value, 0.0]):
            if other != value and abs(other) != float("inf"):
                yield replace(source, place, repr(other))


def off_by_one(source: Source, place: Place) -> Iterator[Edit | None]:
    """A whole number n -> n + 1, n - 1; `return x` and the right side of `<` likewise."""
    node = place.node
    if isinstance(node, ast.Constant):
        if type(node.value) is int:
            yield replace(source, place, number_text(node.value + 1))
            text = number_text(node.value - 1)
            yield replace(source, place, text if node.value else "-1")
    elif isinstance(node, ast.Return) and isinstance(node.value, (ast.Name, ast.Call, ast.BinOp)):
        yield from shifted(source, node.value)
    elif isinstance(node, ast.Compare) and isinstance(node.ops[-1], _ORDERINGS):
        right = node.comparators[-1]
        yield from () if isinstance(right, ast.Constant) else shifted(source, right)


def string(source: Source, place: Place) -> Iterator[Edit | None]:
    """A text -> the empty one, one with its case swapped, one without its last character."""
    value = getattr(place.node, "value", None)
    if not isinstance(place.node, ast.Constant) or not isinstance(value, str):
        return
    others = ["", value.swapcase(), value[:-1], value * 2 if value.isspace() else ""]
    for other in dict.fromkeys(others if value else [" "]):
        if other != value:
            yield Edit(*source.span(place.node), _quoted(other, source.segment(place.node)))


def variable_replacement(source: Source, place: Place) -> Iterator[Edit | None]:
    """A variable that is read -> others that hold a value there."""
    node = place.node
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
        return
    if node.id not in place.scope:
        return
    others = sorted((name for name in place.scope if name != node.id), key=_near(node.id))
    yield from (replace(source, place, name) for name in others[:MAX_VARIABLES])


def index(source: Source, place: Place) -> Iterator[Edit | None]:
    """`x[i]` -> `x[i + 1]`, `x[i - 1]`; `x[0]` -> `x[-1]` and back."""
    node = place.node
    if not isinstance(node, ast.Subscript) or isinstance(node.slice, (ast.Slice, ast.Tuple)):
        return
    text = source.segment(node.slice)
    if text in ("0", "-1"):
        yield Edit(*source.span(node.slice), "-1" if text == "0" else "0")
    elif isinstance(node.slice, (ast.Name, ast.BinOp, ast.Call)):
        yield from shifted(source, node.slice)


def slice_bounds(source: Source, place: Place) -> Iterator[Edit | None]:
    """`x[a:b:c]` -> a bound dropped, or moved by one; a step dropped, or turned round."""
    node = place.node
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Slice):
        return
    for bound in (node.slice.lower, node.slice.upper):
        if bound is not None:
            yield Edit(*source.span(bound), "")
            yield from shifted(source, bound)
    if node.slice.lower is None and node.slice.upper is None and node.slice.step is None:
        start = source.span(node.slice)[0]
        yield Edit(start, start, "1")
    if node.slice.step is not None:
        yield Edit(*source.span(node.slice.step), "")
        if source.segment(node.slice.step) == "-1":
            yield Edit(*source.span(node.slice.step), "1")


def _quoted(value: str, like: str) -> str:
    """Return the literal of a text, in double quotes where the old one had them."""
    text = repr(value)
    if like.startswith('"') and not set(value) & {"'", '"'}:
        return f'"{text[1:-1]}"'
    return text


def _near(name: str) -> Callable[[str], tuple[int, str]]:
    """Return a sorting key: names that begin alike come first."""
    return lambda other: (abs(ord(other[0]) - ord(name[0])), other)
