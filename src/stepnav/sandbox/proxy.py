"""What a test in the trusted parent holds in place of the candidate and its objects.

A `Candidate` stands for a global name of the program, a `RemoteObject` for something that the
program made and that is no built-in value. Both ask a session, which either talks to the box
(`LiveSession`) or reads answers that are already here (`ReplaySession`).

The candidate decides the values it returns, and nothing else: an object of its own class equals
nothing, whatever its `__eq__` says, and a test that would have to believe such an object is
refused.
"""

from __future__ import annotations

import builtins
import collections
from collections.abc import Sequence
from typing import Any

from stepnav.sandbox.answers import from_answer, lost
from stepnav.sandbox.codec import TooLargeError, UnencodableError
from stepnav.sandbox.control import DivergedError, PendingError, RefusedError, Session, StoppedError
from stepnav.sandbox.operations import encode_operation
from stepnav.sandbox.records import (
    Call,
    CallResult,
    GetAttribute,
    GetName,
    Operation,
    Ref,
    SetAttribute,
    Status,
)
from stepnav.sandbox.worker import End

_NEED_MORE_THAN_TEXT = ("ExceptionGroup", "UnicodeDecodeError", "UnicodeEncodeError",
                        "UnicodeTranslateError")  # fmt: skip

EXCEPTIONS: dict[str, type[Exception]] = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, Exception) and name not in _NEED_MORE_THAN_TEXT
}
"""Exceptions of the candidate that a test sees as they are, but for `_ENDS`; others become
`CandidateError`."""

_ENDS = ("StopIteration", "StopAsyncIteration")
"""In a test they would end a loop over `map(candidate, cases)`, as if there were no more cases; so
they leave a candidate as they leave a generator (PEP 479)."""

_STOPS: dict[str, Status] = {
    "timeout": "timeout", "memory": "memory", "crash": "crash", "output": "output",
    "missing": "crash", "encoding": "failed",
}  # fmt: skip


class CandidateError(Exception):
    """The candidate raised an exception that is not built in; the text begins with its name."""


class ReplaySession(Session):
    """Answers from a list, as long as the test asks what the reference was asked.

    Args:
      recorded: encoded operations, as asked of the reference.
      answers: what the candidate answered; may be fewer.
      end: how its process ended; None while it runs.
      max_depth: deepest nesting of an answer.

    Attributes:
      num_asked: operations so far.
    """

    def __init__(
        self, recorded: Sequence[bytes], answers: Sequence[bytes], end: End | None, max_depth: int
    ) -> None:
        super().__init__()
        self._recorded, self._answers, self._end = recorded, answers, end
        self._max_depth = max_depth
        self.num_asked = 0

    def ask(self, operation: bytes) -> tuple[int, CallResult]:
        """Return the next answer.

        Raises:
          DivergedError: another operation was recorded here, or none.
          PendingError: the answer is not there yet.
        """
        index, self.num_asked = self.num_asked, self.num_asked + 1
        if index >= len(self._recorded) or operation != self._recorded[index]:
            self.stop(DivergedError())
        if index < len(self._answers):
            return index, from_answer(self._answers[index], max_depth=self._max_depth)
        if self._end is None:
            self.stop(PendingError())
        return index, lost(self._end)


class Candidate:
    """A global name of the program: calling it calls the program's function in the box."""

    def __init__(self, session: Session, name: str) -> None:
        self._stepnav = (session, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the candidate's function returns, or raise what it raises."""
        session, name = self._stepnav
        return _call(session, name, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_looked_up(*self._stepnav), name)

    def __eq__(self, other: object) -> bool:
        session, name = self._stepnav
        session.stop(_refusal(f"compares the candidate's name {name!r} instead of calling it"))

    def __bool__(self) -> bool:
        session, name = self._stepnav
        session.stop(_refusal(f"asks for the truth of the candidate's name {name!r}"))

    __hash__ = None  # type: ignore[assignment]


class RemoteObject:
    """An object of the program, in the box; equal to no value.

    Args:
      session: the session that it lives in.
      index: the operation that made it.
      type_name: its type, as the box says.
    """

    def __init__(self, session: Session, index: int, type_name: str) -> None:
        object.__setattr__(self, "_stepnav", (session, index, type_name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        session, index, _ = self._stepnav
        return _ask(session, GetAttribute(Ref(index), name))

    def __setattr__(self, name: str, value: Any) -> None:
        session, index, _ = self._stepnav
        _ask(session, SetAttribute(Ref(index), name, _outgoing(value)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what calling the object in the box returns."""
        session, index, _ = self._stepnav
        return _call(session, Ref(index), args, kwargs)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (RemoteObject, Candidate)):
            detail = "the test compares two objects that live in the candidate"
            self._stepnav[0].stop(StoppedError("failed", detail))
        return False

    def __bool__(self) -> bool:
        session: Session = self._stepnav[0]
        detail = f"it returned an object of type {self._stepnav[2]!r}, not a built-in value"
        session.stop(StoppedError("failed", detail))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<object of type {self._stepnav[2]!r} in the box>"


def _call(session: Session, target: str | Ref, args: tuple[Any, ...], kwargs: Any) -> Any:
    sent = tuple(map(_outgoing, args))
    named = {name: _outgoing(value) for name, value in kwargs.items()}
    return _ask(session, Call(target, sent, named), (args, kwargs))


def _ask(
    session: Session, operation: Operation, given: tuple[tuple[Any, ...], Any] = ((), {})
) -> Any:
    """Return the value of an operation as the test may hold it, or raise what it raised."""
    if session.stopped is not None:
        session.stop(session.stopped)
    try:
        encoded = encode_operation(operation)
    except UnencodableError as error:
        session.stop(_refusal(f"passes a value of type {str(error)!r} to the candidate"))
    except TooLargeError as error:
        detail = f"the test passes a value that is too large ({error})"
        session.stop(StoppedError("failed", detail))
    index, result = session.ask(encoded)
    if result.changed is not None:
        _write_back(given, result.changed)
    if result.status == "value":
        return result.value
    if result.status == "object":
        return RemoteObject(session, index, result.type_name)
    if result.status == "error":
        raise _exception(session, result)
    session.stop(StoppedError(_STOPS[result.status], result.message or result.type_name))


def _exception(session: Session, result: CallResult) -> BaseException:
    kind = EXCEPTIONS.get(result.type_name)
    if result.type_name in _ENDS:
        session.raised = RuntimeError(f"the candidate raised {result.type_name}")
    elif kind is None:
        session.raised = CandidateError(f"{result.type_name}: {result.message}")
    else:
        session.raised = kind(result.message)
    return session.raised


def _outgoing(value: Any) -> Any:
    """Return an argument with every object of the box in it replaced by its `Ref`."""
    kind = type(value)
    if kind is RemoteObject:
        return Ref(value._stepnav[1])
    if kind is Candidate:
        return _outgoing(_looked_up(*value._stepnav))
    if kind is list or kind is tuple:
        return kind(map(_outgoing, value))
    if kind is dict:
        return {key: _outgoing(item) for key, item in value.items()}
    return value


def _looked_up(session: Session, name: str) -> Any:
    return _ask(session, GetName(name))


def _write_back(given: tuple[tuple[Any, ...], Any], changed: tuple[tuple[Any, ...], Any]) -> None:
    """Change the test's own arguments as the candidate changed its copies."""
    pairs = [*zip(given[0], changed[0])]
    pairs += [(given[1][name], value) for name, value in changed[1].items() if name in given[1]]
    for old, new in pairs:
        if type(old) is not type(new):
            continue
        if type(old) is list:
            old[:] = new
        elif isinstance(old, (dict, set)):
            old.clear()
            old.update(new)
        elif isinstance(old, collections.deque):
            old.clear()
            old.extend(new)


def _refusal(what: str) -> RefusedError:
    return RefusedError(f"the test {what}")
