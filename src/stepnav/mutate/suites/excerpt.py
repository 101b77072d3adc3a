"""One function of a module with what it needs of it, as a program of its own.

Mutants of a whole module would be judged by tests of one function; in an excerpt every statement is
there because the function may run it. The kept statements stand as they stood, with the comments
above them.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Mapping, Sequence

from stepnav.mutate.program.source import Source

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_NAMED = (*_FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom)
"""Statements that give names a value and do nothing else."""


def excerpt(source: Source, name: str) -> str:
    """Return the statements of a module that a function of it, or a class, needs, and itself.

    Imports of everything (`from m import *`) and of the future are always kept, what runs as a
    script never.
    """
    body = source.tree.body
    needed = closure([name], uses_of(body))
    ends = [source.starts[node.end_lineno or node.lineno] for node in body]
    begins = [0, *ends[:-1]]
    kept = [
        (begin, end)
        for node, changed, begin, end in zip(body, _changes(body), begins, ends)
        if _is_needed(node, changed, needed)
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


def uses_of(body: Sequence[ast.stmt]) -> dict[str, set[str]]:
    """Return each name that a module's statements give or change, with all that they use."""
    uses: dict[str, set[str]] = {}
    for node, changed in zip(body, _changes(body)):
        for name in changed:
            uses.setdefault(name, set()).update(used_names(node))
    return uses


def _changes(body: Sequence[ast.stmt]) -> list[set[str]]:
    """Return for each statement the names that it gives a value, or whose value it may change.

    A call that stands alone may change its object, its arguments, and what a function of the module
    changes; so may a decorator, what it changes.
    """
    of_function = {node.name: _changed_by(node) for node in body if isinstance(node, _FUNCTIONS)}
    found = []
    for node in body:
        changed: set[str] = set() if _is_script(node) else bound_names(node)
        if not isinstance(node, _NAMED) and not _is_script(node):
            changed |= _changed_inside(node, of_function)
        for one in getattr(node, "decorator_list", ()):
            for name in _root(one.func if isinstance(one, ast.Call) else one):
                changed |= of_function.get(name, set())
        found.append(changed)
    return found


def _changed_by(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the names of a module whose values a function changes."""
    parts = list(ast.walk(function))
    shared = {name for part in parts if isinstance(part, ast.Global) for name in part.names}
    own = {part.arg for part in parts if isinstance(part, ast.arg)} | {
        part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }
    return shared | (_changed_inside(function, {}) - own)


def _changed_inside(node: ast.stmt, of_function: Mapping[str, set[str]]) -> set[str]:
    """Return the names of what a statement, or one inside it, changes without binding the name."""
    names: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.Subscript, ast.Attribute)):
            if not isinstance(part.ctx, ast.Load):
                names |= _root(part)
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            call = part.value
            given = [*call.args, *(word.value for word in call.keywords)]
            names = names.union(*map(_root, [call.func, *given]))
            if isinstance(call.func, ast.Name):
                names |= of_function.get(call.func.id, set())
    return names - set(dir(builtins))


def _root(node: ast.expr) -> set[str]:
    """Return the name at the beginning of `name.a[0].b`; nothing if there is none."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def _is_needed(node: ast.stmt, changed: set[str], needed: set[str]) -> bool:
    if isinstance(node, ast.ImportFrom) and (
        node.module == "__future__" or node.names[0].name == "*"
    ):
        return True
    return not needed.isdisjoint(changed)


def _is_script(node: ast.stmt) -> bool:
    """Return whether a statement runs only where the module is run as a script."""
    return isinstance(node, ast.If) and "__name__" in used_names(node.test)
