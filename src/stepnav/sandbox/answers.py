"""Reading the box's answers: untrusted bytes in, `CallResult` out."""

from __future__ import annotations

import signal
from typing import Any

from stepnav.sandbox.codec import BrokenError, decode
from stepnav.sandbox.inside.box import MESSAGE_CHARACTERS
from stepnav.sandbox.records import CallResult
from stepnav.sandbox.worker import End

ENVELOPE_DEPTH = 4
"""An answer wraps a value in a tuple, and its changed arguments in three containers."""


def from_answer(answer: bytes, *, max_depth: int) -> CallResult:
    """Return the result that an answer tells; one that cannot be read is an "encoding" failure."""
    try:
        return _read(decode(answer, max_depth=max_depth + ENVELOPE_DEPTH, is_answer=True))
    except (BrokenError, RecursionError) as error:
        return CallResult("encoding", message=f"the box sent no readable answer: {error}")


def lost(end: End) -> CallResult:
    """Return the result of a call that was never answered."""
    if end.why == "t":
        return CallResult("timeout", message="its CPU time is over")
    if end.why == "w":
        return CallResult("timeout", message="its wall time is over")
    if end.why == "o":
        return CallResult("output", message="it sent more bytes than allowed")
    if end.code < 0 and end.code != -signal.SIGKILL:
        return CallResult("crash", message=f"the process died of signal {-end.code}")
    return CallResult("crash", message="the process ended without an answer")


def _read(answer: Any) -> CallResult:
    if type(answer) is not tuple or not answer or type(answer[0]) is not str:
        raise BrokenError("not an answer")
    kind, fields = answer[0], answer[1:]
    if kind == "v" and len(fields) == 2:
        return CallResult("value", value=fields[0], changed=_changed(fields[1]))
    if kind == "o" and len(fields) == 1:
        return CallResult("object", type_name=_text(fields[0]))
    if kind == "e" and len(fields) == 3:
        name = _text(fields[0])
        status = "memory" if name == "MemoryError" else "error"
        return CallResult(
            "memory" if status == "memory" else "error",
            type_name=name,
            message=_text(fields[1]),
            changed=_changed(fields[2]),
        )
    if kind == "u" and len(fields) == 1:
        return CallResult("encoding", message=_text(fields[0]))
    raise BrokenError("not an answer")


def _text(value: Any) -> str:
    if type(value) is not str:
        raise BrokenError("not an answer")
    return value[:MESSAGE_CHARACTERS]


def _changed(value: Any) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    if value is None:
        return None
    if type(value) is not tuple or len(value) != 2:
        raise BrokenError("not an answer")
    args, kwargs = value
    if type(args) is not tuple or type(kwargs) is not dict:
        raise BrokenError("not an answer")
    return args, kwargs
