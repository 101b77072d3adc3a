"""Operators on calls: loop bounds, arguments, calls left out, methods and functions swapped."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from stepnav.mutate.program.edit import SIGN, Edit, Place, operand, replace, shifted
from stepnav.mutate.program.source import Source

METHODS: Mapping[str, tuple[str, ...]] = {
    "add": ("discard",),
    "append": ("extend",),
    "capitalize": ("title",),
    "count": ("find",),
    "difference": ("symmetric_difference",),
    "endswith": ("startswith",),
    "extend": ("append",),
    "find": ("rfind",),
    "findall": ("split",),
    "fullmatch": ("search",),
    "index": ("count",),
    "intersection": ("union",),
    "isalnum": ("isalpha",),
    "isalpha": ("isalnum",),
    "isdigit": ("isalpha",),
    "islower": ("isupper",),
    "issubset": ("issuperset",),
    "issuperset": ("issubset",),
    "isupper": ("islower",),
    "items": ("keys",),
    "keys": ("values",),
    "ljust": ("rjust",),
    "lower": ("upper",),
    "lstrip": ("rstrip",),
    "match": ("search",),
    "partition": ("rpartition",),
    "pop": ("remove",),
    "replace": ("strip",),
    "rfind": ("find",),
    "rjust": ("ljust",),
    "rpartition": ("partition",),
    "rsplit": ("split",),
    "rstrip": ("lstrip",),
    "search": ("match",),
    "sort": ("reverse",),
    "split": ("rsplit", "partition"),
    "startswith": ("endswith",),
    "strip": ("lstrip", "rstrip"),
    "swapcase": ("lower",),
    "title": ("capitalize",),
    "union": ("intersection",),
    "update": ("clear",),
    "upper": ("lower",),
    "values": ("keys",),
}
"""Method (or function of a module) -> those it is taken for."""

FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "abs": ("int",),
    "all": ("any",),
    "any": ("all",),
    "bin": ("hex",),
    "ceil": ("floor",),
    "chr": ("str",),
    "dict": ("list",),
    "divmod": ("pow",),
    "enumerate": ("list",),
    "filter": ("map",),
    "float": ("int",),
    "floor": ("ceil",),
    "hex": ("oct",),
    "int": ("float", "round"),
    "len": ("sum",),
    "list": ("set",),
    "map": ("filter",),
    "max": ("min",),
    "min": ("max",),
    "oct": ("bin",),
    "ord": ("int",),
    "reversed": ("list",),
    "round": ("int",),
    "set": ("list",),
    "sorted": ("list",),
    "str": ("repr",),
    "sum": ("max", "len"),
    "tuple": ("list",),
}
"""Function called by its name, or by its name in `math` -> those it is taken for."""


def loop_bound(source: Source, place: Place) -> Iterator[Edit | None]:
    """`range(a, b)` -> each bound moved by one, `range(1, b)` of `range(b)`, no step or -step."""
    node = place.node
    if not isinstance(node, ast.Call) or _name(node.func) != "range" or not node.args:
        return
    for bound in node.args[:2]:
        yield from shifted(source, bound)
    if len(node.args) == 1:
        start = source.span(node.args[0])[0]
        yield Edit(start, start, "1, ")
    elif len(node.args) == 2:
        start, end = source.span(node.args[0])[0], source.span(node.args[1])[0]
        yield Edit(start, end, "")
    else:
        step = node.args[2]
        yield Edit(source.span(node.args[1])[1], source.span(step)[1], "")
        yield Edit(*source.span(step), f"-{operand(source, step, SIGN)}".replace("--", ""))


def argument_swap(source: Source, place: Place) -> Iterator[Edit | None]:
    """`f(a, b)` -> `f(b, a)`, each pair of neighbours."""
    node = place.node
    if not isinstance(node, ast.Call):
        return
    for left, right in zip(node.args, node.args[1:]):
        if isinstance(left, ast.Starred) or isinstance(right, ast.Starred):
            continue
        (first, first_end), (second, second_end) = source.span(left), source.span(right)
        middle = source.text[first_end:second]
        text = source.segment(right) + middle + source.segment(left)
        yield Edit(first, second_end, text)


def call_deletion(source: Source, place: Place) -> Iterator[Edit | None]:
    """`f(x)` -> `x`; `x.m()` -> `x`."""
    node = place.node
    if not isinstance(node, ast.Call) or isinstance(place.parent, ast.Expr):
        return
    if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred):
        yield replace(source, place, operand(source, node.args[0], 0))
    if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):
        yield replace(source, place, source.segment(node.func.value))


def method_swap(source: Source, place: Place) -> Iterator[Edit | None]:
    """`s.lower()` -> `s.upper()`."""
    node = place.node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        end = source.span(node.func)[1]
        for name in METHODS.get(node.func.attr, ()):
            yield Edit(end - len(node.func.attr), end, name)


def function_swap(source: Source, place: Place) -> Iterator[Edit | None]:
    """`max(x)` -> `min(x)`; `math.ceil(x)` -> `math.floor(x)`."""
    node = place.node
    if not isinstance(node, ast.Call):
        return
    end = source.span(node.func)[1]
    if isinstance(node.func, ast.Name):
        names = FUNCTIONS.get(node.func.id, ())
        yield from (Edit(*source.span(node.func), name) for name in names)
    elif _name(getattr(node.func, "value", None)) == "math":
        attr = getattr(node.func, "attr", "")
        if attr in ("ceil", "floor"):
            yield Edit(end - len(attr), end, FUNCTIONS[attr][0])


def _name(node: ast.AST | None) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _is_module(node: ast.expr) -> bool:
    """Return whether a name is one of the modules that short programs import."""
    return _name(node) in ("math", "re", "heapq", "itertools", "collections", "sys", "np", "bisect")
