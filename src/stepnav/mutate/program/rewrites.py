"""Rewrites that keep a program's meaning: decoys.

A model that has seen only mutants can learn "this was edited" in place of "this is wrong"; decoys
are edited and right. Each rewrite is safe by its form for the built-in types named beside it, and
each decoy is still run against the tests and the fuzz inputs before it gets its label.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from stepnav.mutate.program.edit import (
    BINARY,
    COMPARE,
    COMPARISONS,
    Edit,
    Place,
    apply_edits,
    operand,
    replace,
)
from stepnav.mutate.program.source import Source, parses
from stepnav.mutate.program.steps import Split
from stepnav.mutate.program.walk import places

MIRRORED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
}
OPPOSITE: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
"""Opposites for every value; orderings are left out, as with NaN both `<` and `>=` are false."""

NEW_NAMES = ("value", "result", "current", "item", "total", "found", "temp", "data", "out", "acc")
_QUIET_CALLS = frozenset({"len", "abs", "min", "max", "sum", "int", "str", "ord"})

Rewriter = Callable[[Source, Place], Iterator[tuple[Edit, ...]]]


@dataclass(frozen=True, slots=True)
class Decoy:
    """One rewritten program.

    Attributes:
      rewrite: key of `REWRITES`.
      edits: the changes, in source order.
      step: index of the first step that is changed.
    """

    rewrite: str
    edits: tuple[Edit, ...]
    step: int


def mirror_comparison(source: Source, place: Place) -> Iterator[tuple[Edit, ...]]:
    """`a < b` -> `b > a`, where neither side can have an effect."""
    node = place.node
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in MIRRORED:
        right = node.comparators[0]
        if _is_quiet(node.left) and _is_quiet(right):
            sign = COMPARISONS[MIRRORED[type(node.ops[0])]]
            sides = [operand(source, side, COMPARE + 1) for side in (right, node.left)]
            yield (replace(source, place, f"{sides[0]} {sign} {sides[1]}"),)


def commute(source: Source, place: Place) -> Iterator[tuple[Edit, ...]]:
    """`x + 1` -> `1 + x`, `x * 2` -> `2 * x`: one side is a number, so the sum is of numbers."""
    node = place.node
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Add, ast.Mult)):
        return
    if _is_number(node.left) != _is_number(node.right):
        sign, level = BINARY[type(node.op)]
        left = operand(source, node.right, level)
        right = operand(source, node.left, level + 1)
        yield (replace(source, place, f"{left} {sign} {right}"),)


def double_negation(source: Source, place: Place) -> Iterator[tuple[Edit, ...]]:
    """`a == b` -> `not (a != b)`, where only the truth counts."""
    node = place.node
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or type(node.ops[0]) not in OPPOSITE:
        return
    if isinstance(place.parent, (ast.If, ast.While)) and place.field == "test":
        sign = COMPARISONS[OPPOSITE[type(node.ops[0])]]
        left, right = (operand(source, x, COMPARE + 1) for x in (node.left, node.comparators[0]))
        yield (replace(source, place, f"not ({left} {sign} {right})"),)


def parenthesise(source: Source, place: Place) -> Iterator[tuple[Edit, ...]]:
    """`return x + 1` -> `return (x + 1)`; `if c:` -> `if (c):`."""
    node = place.node
    value = getattr(node, "value", None) or getattr(node, "test", None)
    if isinstance(value, ast.expr) and not source.segment(value).startswith("("):
        start, end = source.span(value)
        yield (Edit(start, end, f"({source.segment(value)})"),)


def spell_out(source: Source, place: Place) -> Iterator[tuple[Edit, ...]]:
    """`x += 1` -> `x = x + 1` for a number, which no other name can share."""
    node = place.node
    if not isinstance(node, ast.AugAssign) or not isinstance(node.target, ast.Name):
        return
    if _is_number(node.value):
        name, sign = node.target.id, BINARY[type(node.op)][0]
        text = f"{name} = {name} {sign} {source.segment(node.value)}"
        yield (Edit(*source.span(node), text),)


def contract(source: Source, place: Place) -> Iterator[tuple[Edit, ...]]:
    """`x = x + 1` -> `x += 1` for a number."""
    node = place.node
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.BinOp):
        return
    value, target = node.value, node.targets[0]
    same = isinstance(target, ast.Name) and source.segment(value.left) == target.id
    if len(node.targets) == 1 and same and _is_number(value.right):
        sign = BINARY[type(value.op)][0]
        text = f"{source.segment(target)} {sign}= {source.segment(value.right)}"
        yield (Edit(*source.span(node), text),)


def requote(source: Source, place: Place) -> Iterator[tuple[Edit, ...]]:
    """`'text'` -> `"text"` and back."""
    node = place.node
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        start, end = source.span(node)
        text = source.text[start:end]
        if text[1:-1] == node.value and not set(node.value) & {"'", '"', "\\"}:
            quote = '"' if text[0] == "'" else "'"
            yield (Edit(start, end, quote + node.value + quote),)


def rename_local(source: Source, place: Place) -> Iterator[tuple[Edit, ...]]:
    """A local variable has another name throughout its function; arguments keep theirs."""
    function = place.node
    if not isinstance(function, ast.FunctionDef) or _has_declarations(function):
        return
    names: dict[str, list[ast.Name]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            names.setdefault(node.id, []).append(node)
    arguments = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    free = [name for name in NEW_NAMES if name not in source.text]
    stored = {name for name in names if any(isinstance(n.ctx, ast.Store) for n in names[name])}
    for number, name in enumerate(sorted(stored - arguments)):
        if free:
            new = free[number % len(free)]
            yield tuple(sorted(Edit(*source.span(node), new) for node in names[name]))


REWRITES: Mapping[str, tuple[tuple[type[ast.AST], ...], Rewriter]] = {
    "mirror_comparison": ((ast.Compare,), mirror_comparison),
    "commute": ((ast.BinOp,), commute),
    "double_negation": ((ast.Compare,), double_negation),
    "parenthesise": ((ast.Return, ast.Assign, ast.If, ast.While), parenthesise),
    "spell_out": ((ast.AugAssign,), spell_out),
    "contract": ((ast.Assign,), contract),
    "requote": ((ast.Constant,), requote),
    "rename_local": ((ast.FunctionDef,), rename_local),
}
"""Rewrite -> the node kinds it looks at, and its generator."""


def decoys(source: Source, split: Split) -> list[Decoy]:
    """Return the program's rewrites in source order, each text once, none in the prompt."""
    found: set[Decoy] = set()
    for rewrite, (kinds, generate) in REWRITES.items():
        for place in places(source):
            if isinstance(place.node, kinds):
                for edits in generate(source, place):
                    steps = [split.step_at(edit.start) for edit in edits]
                    if steps and steps[0] is not None and None not in steps:
                        found.add(Decoy(rewrite, edits, steps[0]))
    return sorted(
        (decoy for decoy in found if parses(decoyed(source, decoy))),
        key=lambda decoy: (decoy.edits, decoy.rewrite),
    )


def decoyed(source: Source, decoy: Decoy) -> str:
    """Return the text of a rewritten program."""
    return apply_edits(source.text, decoy.edits)


def _is_quiet(node: ast.expr) -> bool:
    """Return whether an expression has no effect but its value."""
    loud = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.Lambda)
    for part in ast.walk(node):
        if isinstance(part, loud):
            return False
        if isinstance(part, ast.Call) and getattr(part.func, "id", None) not in _QUIET_CALLS:
            return False
    return True


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _has_declarations(function: ast.FunctionDef) -> bool:
    """Return whether names in a function may mean more than its own locals."""
    kinds = (ast.Global, ast.Nonlocal, ast.FunctionDef, ast.ClassDef, ast.JoinedStr, ast.Lambda)
    return any(isinstance(node, kinds) for node in ast.walk(function) if node is not function)
