"""Operators on statements: conditions, loop control, returned values, deletion, assignments."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from stepnav.mutate.program.edit import BINARY, Edit, Place, replace
from stepnav.mutate.program.source import Source

AUGMENTED: Mapping[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mod,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}


def condition_drop(source: Source, place: Place) -> Iterator[Edit | None]:
    """`if c:` -> `if True:`; `a if c else b` -> `a`, `b`; a filter of a comprehension dropped."""
    node = place.node
    if isinstance(node, ast.If):
        yield Edit(*source.span(node.test), "True")
    elif isinstance(node, ast.While):
        yield Edit(*source.span(node.test), "False")
    elif isinstance(node, ast.IfExp):
        yield replace(source, place, source.segment(node.body))
        yield replace(source, place, source.segment(node.orelse))
    else:
        for part in getattr(node, "generators", ()):
            for test in part.ifs:
                yield _filter(source, part, test)


def loop_control(source: Source, place: Place) -> Iterator[Edit | None]:
    """`break` <-> `continue`; either -> `pass`."""
    other = "continue" if isinstance(place.node, ast.Break) else "break"
    yield Edit(*source.span(place.node), other)
    yield Edit(*source.span(place.node), "pass")


def return_value(source: Source, place: Place) -> Iterator[Edit | None]:
    """`return x` -> `return None`; `return a, b` -> `return b, a`."""
    node = place.node
    if not isinstance(node, ast.Return) or node.value is None:
        return
    yield Edit(*source.span(node.value), "None")
    if isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
        first, second = node.value.elts
        (start, middle), (other, end) = source.span(first), source.span(second)
        text = source.segment(second) + source.text[middle:other] + source.segment(first)
        yield Edit(start, end, text)


def statement_deletion(source: Source, place: Place) -> Iterator[Edit | None]:
    """A simple statement -> `pass`, so that its block still has one and the lines stay."""
    yield Edit(*source.span(place.node), "pass")


def augmented_assignment(source: Source, place: Place) -> Iterator[Edit | None]:
    """`x += y` -> `x -= y`, `x = y`."""
    node = place.node
    if not isinstance(node, ast.AugAssign):
        return
    old = BINARY[type(node.op)][0] + "="
    start = source.text.find(old, source.span(node.target)[1])
    yield Edit(start, start + len(old), BINARY[AUGMENTED[type(node.op)]][0] + "=")
    yield Edit(start, start + len(old), "=")


def _filter(source: Source, part: ast.comprehension, test: ast.expr) -> Edit | None:
    """Return the edit that takes ` if test` out of a comprehension."""
    position = part.ifs.index(test)
    before = part.iter if position == 0 else part.ifs[position - 1]
    start, end = source.span(before)[1], source.span(test)[1]
    word = source.text.find("if", start, end)
    if word < 0 or source.text[start:word].strip(" \t\r\n)"):
        return None
    kept = len(source.text[start:word].rstrip())
    is_bracketed = source.text[: source.span(test)[0]].endswith("(")
    return Edit(start + kept, end + is_bracketed, "")
