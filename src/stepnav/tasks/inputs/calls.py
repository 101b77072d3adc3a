"""The calls of a function that its tests make, as values: what fuzz inputs are modelled on.

Only calls whose arguments are literals are taken (`f([1, 2], n=3)`); where the tests make their
arguments in another way the program has no known calls, and so no fuzz inputs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stepnav.tasks.inputs.values import written


@dataclass(frozen=True)
class KnownCall:
    """One call's arguments.

    Attributes:
      args: positional arguments.
      kwargs: keyword arguments.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


def known_calls(tests: Iterable[str], entry_points: Iterable[str]) -> list[KnownCall]:
    """Return the calls that test texts make, in order, each once.

    Args:
      tests: Python texts.
      entry_points: the functions' names under test (`candidate` too, where tests call it so).
    """
    names = frozenset(entry_points)
    found: dict[str, KnownCall] = {}
    for text in tests:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in names:
                call = _literal(node)
                if call is not None:
                    found.setdefault(written((call.args, call.kwargs)), call)
    return list(found.values())


def called_names(tests: Iterable[str]) -> list[str]:
    """Return the names that test texts call, in order of first use."""
    found: dict[str, None] = {}
    for text in tests:
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        for node in nodes:
            if isinstance(node.func, ast.Name):
                found.setdefault(node.func.id)
    return list(found)


def _literal(node: ast.Call) -> KnownCall | None:
    """Return a call whose arguments are all literals."""
    if any(keyword.arg is None for keyword in node.keywords):
        return None
    try:
        args = tuple(ast.literal_eval(argument) for argument in node.args)
        kwargs = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return KnownCall(args, kwargs)
