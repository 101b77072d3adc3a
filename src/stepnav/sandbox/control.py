"""How a test is ended from outside: by exceptions that no handler of the test can keep.

A test may hold a bare `except:`. So every `try` in it gets a first handler that passes these
exceptions on (`guarded`), and what ended the test is recorded in its session, where a test that
swallows them by other means (a context manager, a `return` in a `finally`) cannot change it. What
it does afterwards counts for nothing.
"""

from __future__ import annotations

import ast
from typing import NoReturn, TypeVar

from stepnav.sandbox.records import CallResult, Status

CONTROL_NAME = "stepnav.control"
"""What the guards call `ControlError`; a name that no program can spell."""

Tree = TypeVar("Tree", bound=ast.AST)


class ControlError(BaseException):
    """Ends a test from outside; none of the test's business."""


class StoppedError(ControlError):
    """The verdict is settled in the middle of the test.

    Args:
      status: the verdict.
      detail: why.
    """

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class RefusedError(ControlError):
    """The test needs something that cannot pass between the box and the outside; says what."""


class DivergedError(ControlError):
    """The test asked something else than it asked of the reference."""


class PendingError(ControlError):
    """The test asked for an answer that has not arrived yet."""


class Session:
    """What a test asks: answers operations, in order.

    Attributes:
      raised: the last exception of the candidate, as the test was given it.
      stopped: what ended the test from outside; None if nothing did.
    """

    def __init__(self) -> None:
        self.raised: BaseException | None = None
        self.stopped: ControlError | None = None

    def ask(self, operation: bytes) -> tuple[int, CallResult]:
        """Return the operation's index and what came of it."""
        raise NotImplementedError

    def stop(self, reason: ControlError) -> NoReturn:
        """End the test; the first reason stays, however often a test asks on.

        Raises:
          ControlError: always.
        """
        self.stopped = self.stopped or reason
        raise self.stopped


def guarded(tree: Tree) -> Tree:
    """Return a program whose handlers never catch `ControlError`, once `CONTROL_NAME` means it."""
    for node in ast.walk(tree):
        handlers = getattr(node, "handlers", None)
        if handlers:
            kind = ast.Name(CONTROL_NAME, ast.Load())
            guard = ast.ExceptHandler(kind, None, [ast.Raise(None, None)])
            handlers.insert(0, ast.fix_missing_locations(ast.copy_location(guard, handlers[0])))
    return tree
