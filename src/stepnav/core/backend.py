"""The contract of everything that answers requests: a completion queue.

Like an engine's `add_request` and `step`, or io_uring's two rings: requests go in under a ticket,
finished ones come out in any order. One thread calls a backend; a backend may use what it likes
inside. `policies/scripted.py` and `rewards/scripted.py` are the public fakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError
from stepnav.core.requests import Request


@dataclass(frozen=True, slots=True)
class Answer:
    """A backend's answer to one request.

    Attributes:
      items: for `Propose` n steps, for `Complete` n trajectories (each beginning with the prefix),
        for `Score` one `StepScore` per step of the trajectory; order as asked. Fewer steps or
        trajectories where `Sampling.without` leaves nothing to draw.
      usage: what this request cost the backend; `seconds` may stay 0, the driver measures it.
      prefix_tokens: tokens of the prompt, then of the prompt and one step, then of the prompt and
        two steps and so on, to the end of the request's own trajectory; None if the backend does
        not know. With it the driver charges a search the same whatever other searches, evictions
        or restarts did to a shared cache (`run/accounting.py`).
      flops_per_token: 2 x the model's parameters; given with `prefix_tokens` if known.
    """

    items: tuple[Any, ...]
    usage: Usage
    prefix_tokens: tuple[int, ...] | None = None
    flops_per_token: int | None = None


class Backend(Protocol):
    """Answers requests in any order."""

    def submit(self, ticket: int, request: Request) -> None:
        """Take a request; must not block. Tickets are never used twice."""

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Return what has been answered since the last poll, [] if nothing was.

        A backend that computes in the caller's thread does one slice of work per call. With
        `timeout_s` 0 the caller has other work waiting: return soon, and feel free to put work
        off that would be done better in a larger batch. Otherwise wait up to `timeout_s` for an
        answer, and do whatever work is there.

        Raises:
          BackendDown: nothing can be answered any more.
        """

    def cancel(self, ticket: int) -> None:
        """Forget a request; its answer may still come and is then ignored. Unknown tickets too."""

    def token_bound(self, request: Request) -> int:
        """Return the most budgeted tokens that answering may cost.

        Generated tokens for a policy request (n x the token limit), processed tokens for a score.
        """

    def close(self) -> None:
        """Free what the backend holds; open requests are forgotten. May be called twice."""
