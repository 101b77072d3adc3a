"""What a program may yield and return; whatever else its author's code hands over is refused."""

from __future__ import annotations

import math
from typing import Any, get_args

from stepnav.core.outcome import Outcome, StopReason
from stepnav.core.records import Trajectory
from stepnav.core.requests import POLICY_REQUESTS, Ask, Sampling, Score


def check_requests(batch: Any) -> None:
    """Refuse what no program may yield.

    It is called for every batch, so it looks at types alone and calls nothing of its own.

    Raises:
      TypeError: it is no sequence of requests of one sort, or a field holds something else.
    """
    if type(batch) not in (tuple, list) or not batch:
        raise TypeError(f"it must yield a sequence of at least one request (got {batch!r:.80})")
    for request in batch:
        kind = type(request)
        if kind is Score:
            is_right = type(request.trajectory) is Trajectory
        elif kind in POLICY_REQUESTS:
            held = request.messages if kind is Ask else request.prefix
            is_right = (
                type(held) is (tuple if kind is Ask else Trajectory)
                and type(request.sampling) is Sampling
                and type(request.n) is int
                and request.n >= 1
            )
        else:
            raise TypeError(f"it must yield requests (got {request!r:.80})")
        if not is_right:
            raise TypeError(f"a request holds something else than it should ({request!r:.120})")
        if (kind is Score) != (type(batch[0]) is Score):
            raise TypeError("it must ask for samples and for scores in batches of their own")


def check_outcome(outcome: Any) -> None:
    """Refuse what no program may return, for instance an outcome that could not be written down.

    Raises:
      TypeError: it is no outcome, an answer is no text, or a count or vote no finite number.
    """
    if not isinstance(outcome, Outcome):
        raise TypeError(f"it must return an Outcome (got {outcome!r:.80})")
    if not isinstance(outcome.answer, (str, type(None))):
        raise TypeError(f"an answer must be text or None (got {outcome.answer!r:.80})")
    if outcome.stop_reason not in get_args(StopReason):
        raise TypeError(
            f"a stop reason must be one of {', '.join(get_args(StopReason))} "
            f"(got {outcome.stop_reason!r:.80})"
        )
    if outcome.right_prob is not None and not _is_number(outcome.right_prob):
        raise TypeError(f"a probability must be a number or None (got {outcome.right_prob!r:.80})")
    for name, value in (*outcome.counts.items(), *outcome.votes.items()):
        if not isinstance(name, str) or not _is_number(value):
            raise TypeError(
                f"counts and votes must be numbers by name (got {name!r}: {value!r:.80})"
            )


def _is_number(value: Any) -> bool:
    """Return whether it is a number that can be written down."""
    return isinstance(value, (int, float)) and math.isfinite(value)
