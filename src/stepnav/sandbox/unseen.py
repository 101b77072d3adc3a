"""What a test asks whatever is answered: found by running it with answers that it cannot look at.

Calls are sent ahead of the answers to earlier ones only if such a run asks them too. So no argument
in them was made of an answer, nor asked because of one: a program that reads ahead finds nothing
there that its test does not say by itself.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, NoReturn

from stepnav.sandbox.control import ControlError
from stepnav.sandbox.proxy import ReplaySession
from stepnav.sandbox.records import CallResult

UNSEEN_NAME = "stepnav.unseen"
"""What `blinded` calls `UnseenError`; a name that no program can spell."""


class UnseenError(ControlError):
    """The test looked at an answer that it is not shown."""


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    raise UnseenError


class Unseen:
    """An answer that is not shown: it can be held, not looked at."""

    __getattribute__ = _refuse
    __call__ = _refuse


for _kind in (complex, float, int, str, list, dict, set):
    for _name in vars(_kind).keys() - {"__new__", "__init__", "__doc__", "__class_getitem__"}:
        setattr(Unseen, _name, _refuse)


def unseen_value(*args: Any, **kwargs: Any) -> Unseen:
    """Return an answer that is not shown: what the reference is to a test that is run blind."""
    return Unseen()


class BlindSession(ReplaySession):
    """Replays answers without showing them; arguments as of `ReplaySession`.

    All that a test is told is that an answer is an object that stays in the box.
    """

    def __init__(self, recorded: Sequence[bytes], answers: Sequence[bytes], max_depth: int) -> None:
        super().__init__(recorded, answers, None, max_depth)

    def ask(self, operation: bytes) -> tuple[int, CallResult]:
        """Return the next answer, unseen; raises as `ReplaySession.ask`."""
        index, result = super().ask(operation)
        is_object = result.status == "object"
        return index, result if is_object else CallResult("value", value=Unseen())


_TELLING = frozenset({"type", "id", "callable", "is_", "is_not"})
"""What tells something of an object and asks it nothing."""


def can_peek(tree: ast.AST) -> bool:
    """Return whether code could see of an answer what no method of it is asked for.

    A pattern compares by identity, or by marks of the type.
    """
    return any(
        isinstance(node, ast.Match)
        or (isinstance(node, ast.Name) and node.id in _TELLING)
        or (isinstance(node, ast.Attribute) and node.attr in _TELLING)
        or (isinstance(node, ast.alias) and node.name in _TELLING)
        for node in ast.walk(tree)
    )


def blinded(tree: ast.Module) -> ast.Module:
    """Return a test in which a statement that looks at an answer is passed over; changes it.

    Only one that keeps nothing for later: an assertion, or an expression. Where another one looks,
    the test ends. `is` looks like `==`, and a `TypeError` that the test would handle ends it too: a
    function raises it of a type that it has not asked.
    """
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.Compare):
            node.ops = [_LOOKS.get(type(one), one) for one in node.ops]
        if isinstance(node, ast.Try) and node.handlers:
            node.handlers.insert(0, _looked(ast.Name("TypeError", ast.Load()), node.handlers[0]))
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                setattr(node, name, [*map(_passed_over, statements)])
    return tree


_LOOKS: dict[type[ast.cmpop], ast.cmpop] = {ast.Is: ast.Eq(), ast.IsNot: ast.NotEq()}


def _looked(kind: ast.expr, place: ast.AST) -> ast.ExceptHandler:
    end = ast.Raise(ast.Name(UNSEEN_NAME, ast.Load()), None)
    return ast.fix_missing_locations(ast.copy_location(ast.ExceptHandler(kind, None, [end]), place))


def _passed_over(node: ast.stmt) -> ast.stmt:
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if is_text or not isinstance(node, (ast.Assert, ast.Expr)):
        return node  # before `from __future__` there may be a text alone
    handler = ast.ExceptHandler(ast.Name(UNSEEN_NAME, ast.Load()), None, [ast.Pass()])
    handler = ast.fix_missing_locations(ast.copy_location(handler, node))
    return ast.copy_location(ast.Try([node], [handler], [], []), node)
