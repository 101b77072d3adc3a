"""The nodes of a program that may be changed, in source order, each with its place.

Left out, as a change there means nothing or cannot be spliced: annotations, docstrings, decorators,
patterns, and what stands inside f-strings (before Python 3.12 their nodes have no true place).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stepnav.mutate.program.edit import Place
from stepnav.mutate.program.source import Source
from stepnav.mutate.program.steps import is_docstring

_SKIPPED_FIELDS = frozenset({"annotation", "returns", "decorator_list", "type_params", "pattern"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def places(source: Source) -> list[Place]:
    """Return the places of all nodes that may be changed, in source order, outer before inner."""
    found = list(_walk(source.tree, ()))
    return sorted(found, key=lambda place: _position(source, place.node))


def _walk(parent: ast.AST, scope: tuple[str, ...]) -> Iterator[Place]:
    for field, value in ast.iter_fields(parent):
        if field in _SKIPPED_FIELDS:
            continue
        for index, node in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(node, ast.AST) or isinstance(node, ast.JoinedStr):
                continue
            if isinstance(node, ast.stmt) and index == 0 and is_docstring(node):
                continue
            inner = _scope(node, scope)
            if hasattr(node, "lineno"):
                yield Place(node, parent, field, index, _visible(node, inner))
            yield from _walk(node, inner)


def _scope(node: ast.AST, scope: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that hold values inside a node: those of the function, else as outside."""
    if isinstance(node, _FUNCTIONS):
        arguments = node.args
        given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        names = {f"0:{argument.arg}" for argument in given}
        body = node.body if isinstance(node.body, list) else [node.body]
        names |= {name for statement in body for name in _stored(statement)}
        outer = set(scope) if isinstance(node, ast.Lambda) else set()
        return tuple(sorted(names | outer))
    if isinstance(node, _COMPREHENSIONS):
        targets = {name for part in node.generators for name in _stored(part.target)}
        return tuple(sorted({*scope, *(f"0:{name.partition(':')[2]}" for name in targets)}))
    return scope


def _stored(node: ast.AST) -> Iterator[str]:
    """Yield `LINE:NAME` for each name that a node assigns, nested scopes left out."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield f"{node.end_lineno}:{node.id}"
    if not isinstance(node, (*_FUNCTIONS, *_COMPREHENSIONS, ast.ClassDef)):
        for child in ast.iter_child_nodes(node):
            yield from _stored(child)


def _visible(node: ast.AST, scope: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of a scope that are assigned on a line before the node's."""
    line = getattr(node, "lineno", 0)
    pairs = (entry.partition(":") for entry in scope)
    return tuple(sorted({name for number, _, name in pairs if int(number) < line}))


def _position(source: Source, node: ast.AST) -> tuple[int, int]:
    start, end = source.span(node)
    return start, -end
