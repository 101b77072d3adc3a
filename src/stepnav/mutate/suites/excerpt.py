"""One function of a module with what it needs of it, as a program of its own.

Mutants of a whole module would be judged by tests of one function; in an excerpt every statement is
there because the function may run it. The kept statements stand as they stood, with the comments
above them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from stepnav.mutate.program.source import Source


def excerpt(source: Source, name: str) -> str:
    """Return the statements of a module that a function of it, or a class, needs, and itself.

    Imports of everything (`from m import *`) and of the future are always kept, what runs as a
    script never.
    """
    body = source.tree.body
    needed = closure([name], _uses(body))
    ends = [source.starts[node.end_lineno or node.lineno] for node in body]
    begins = [0, *ends[:-1]]
    kept = [
        (begin, end) for node, begin, end in zip(body, begins, ends) if _is_needed(node, needed)
    ]
    parts: list[str] = []
    done = 0
    for begin, end in kept:  # statements on one line are kept together
        parts.append(source.text[max(done, begin) : end])
        done = max(done, end)
    return "".join(parts).lstrip("\n")


def closure(names: Iterable[str], uses: Mapping[str, set[str]]) -> set[str]:
    """Return names with all that they use, directly or not."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += uses.get(name, ())
    return found


def used_names(node: ast.AST) -> set[str]:
    """Return all names in a statement, parameters (which ask for pytest's fixtures) included."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return names | {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}


def bound_names(node: ast.stmt) -> set[str]:
    """Return the names that a statement of a module gives a value."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    inner = (part for child in ast.iter_child_nodes(node) for part in _bound_inside(child))
    return set(inner)


def _bound_inside(node: ast.AST) -> set[str]:
    if isinstance(node, ast.stmt):
        return bound_names(node)
    return {
        part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def _uses(body: Iterable[ast.stmt]) -> dict[str, set[str]]:
    uses: dict[str, set[str]] = {}
    for node in body:
        for name in bound_names(node):
            uses.setdefault(name, set()).update(used_names(node))
    return uses


def _is_needed(node: ast.stmt, needed: set[str]) -> bool:
    if isinstance(node, ast.ImportFrom) and (
        node.module == "__future__" or node.names[0].name == "*"
    ):
        return True
    if isinstance(node, ast.If) and "__name__" in used_names(node.test):
        return False
    return not needed.isdisjoint(bound_names(node) or used_names(node))
