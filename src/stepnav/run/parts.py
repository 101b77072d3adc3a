"""Parts of a batch: what is asked of a backend at once, how it is stamped, marked and recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, TypeVar, cast

from stepnav.core.backend import Answer
from stepnav.core.errors import JournalError
from stepnav.core.outcome import Outcome
from stepnav.core.records import Trajectory
from stepnav.core.requests import (
    POLICY,
    POLICY_REQUESTS,
    REWARD,
    Ask,
    Complete,
    PolicyRequest,
    Request,
    Sampling,
    Score,
)
from stepnav.run.journal import Entry

T = TypeVar("T")
_REQUESTS = (Score, *POLICY_REQUESTS)


@dataclass(slots=True)
class Part:
    """What is asked of a backend at once: a request of a batch, or one of its samples.

    Attributes:
      position: of the request in its batch.
      request: with seed and limit, as the backend gets it.
      cap: its limit in tokens, if that comes from the budget.
      answer: None until it is there.
    """

    position: int
    request: Request
    cap: int | None = None
    answer: Answer | None = None


def stamped(request: PolicyRequest, n: int, first: int, seed: int) -> PolicyRequest:
    """Return a request for some of its samples, with its seed; `replace` is ten times slower."""
    return type(request)(
        request.messages if isinstance(request, Ask) else request.prefix,  # type: ignore[arg-type]
        n,
        request.sampling,
        request.reserve_tokens,
        seed,
        request.first + first,
        request.model,
    )


def marked(item: Any, part: Part) -> Any:
    """Return a sample, said to be cut by the budget if it filled what the budget left for it."""
    assert part.cap is not None, "only the budget's limits are marked"
    if not isinstance(item, Trajectory):
        is_cut = item.finish == "length" and item.num_tokens >= part.cap
        return replace(item, finish="budget") if is_cut else item
    new = item.steps[len(cast(Complete, part.request).prefix.steps) :]
    if not new or new[-1].finish != "length" or sum(s.num_tokens for s in new) < part.cap:
        return item
    return Trajectory(item.problem, (*item.steps[:-1], replace(new[-1], finish="budget")))


def digest_of(request: Request) -> str:
    """Return what identifies a request; the problem and the strategy stand in the search's id."""
    if isinstance(request, Score):
        text = f"Score\x1e{request.trajectory.text}"
        own = request.model == REWARD
    else:
        sampling = request.sampling
        text = (
            f"{type(request).__name__}\x1e{request.n}\x1e{sampling.temperature}\x1e{sampling.top_p}"
            f"\x1e{sampling.max_tokens}\x1e{request.seed}\x1e"
            + (repr(request.messages) if isinstance(request, Ask) else request.prefix.text)
        )
        if sampling.without is not None:
            drawn = "\x1f".join(step.text for step in sampling.without)
            text += f"\x1e{sampling.later_temperature}\x1e{drawn}"
        own = request.model == POLICY and request.first == 0
        if not own:
            text += f"\x1e{request.first}"
    if not own:
        text += f"\x1e{request.model}"
    return blake2b(text.encode(), digest_size=8).hexdigest()


def decoded(decode: Callable[[Any], T], entry: Entry) -> T:
    """Return what a journaled payload stands for."""
    try:
        return decode(entry.payload)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise JournalError(
            f"the journal's answer {entry.number} of search {entry.search_id} is damaged "
            f"({error!r}); take the journal from a backup, or start again in another folder"
        ) from None


def check_requests(batch: Any) -> None:
    """Refuse what no program may yield.

    Raises:
      TypeError: it is no sequence of requests of one sort, or a field holds something else.
    """
    if not isinstance(batch, (tuple, list)) or not batch:
        raise TypeError(f"it must yield a sequence of requests (got {batch!r:.80})")
    is_score = isinstance(batch[0], Score)
    for request in batch:
        if not isinstance(request, _REQUESTS):
            raise TypeError(f"it must yield requests (got {request!r:.80})")
        if isinstance(request, Score) != is_score:
            raise TypeError("it must ask for samples and for scores in batches of their own")
        if isinstance(request, Score):
            is_right = isinstance(request.trajectory, Trajectory)
        elif isinstance(request, Ask):
            is_right = isinstance(request.messages, tuple) and _is_draw(request)
        else:
            is_right = isinstance(request.prefix, Trajectory) and _is_draw(request)
        if not is_right:
            raise TypeError(f"a request holds something else than it should ({request!r:.120})")


def _is_draw(request: PolicyRequest) -> bool:
    is_sampled = isinstance(request.sampling, Sampling)
    return is_sampled and isinstance(request.n, int) and request.n >= 1


def check_outcome(outcome: Outcome) -> None:
    """Refuse an outcome that could not be written down.

    Raises:
      TypeError: an answer is no text, or a count or vote no number.
    """
    if not isinstance(outcome.answer, (str, type(None))):
        raise TypeError(f"an answer must be text or None (got {outcome.answer!r:.80})")
    for name, value in (*outcome.counts.items(), *outcome.votes.items()):
        if not isinstance(name, str) or not isinstance(value, (int, float)):
            raise TypeError(
                f"counts and votes must be numbers by name (got {name!r}: {value!r:.80})"
            )
