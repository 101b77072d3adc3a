"""What a search program returns, and the full result that the driver makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError
from stepnav.core.records import Trajectory
from stepnav.core.tree import Tree

StopReason = Literal[
    "accepted", "finished", "exhausted", "iterations", "length", "budget", "failed"
]
"""Why a search stopped.

accepted: the reward model accepted a finished solution (hgs); finished: the strategy did all it set
out to do; exhausted: no live node is left; iterations: the strategy's own limit on tries; length:
its limit on steps or on the tokens of one solution;
budget: the budget is spent, or clipped what was drawn (and nothing was accepted all the same);
failed: the backend gave up on one of its requests.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a strategy found.

    Attributes:
      trajectory: the chosen trajectory, the best so far if unfinished; None if there is none.
      stop_reason: why the search stopped.
      answer: the answer where voting chose it; None leaves it to extraction from `trajectory`.
      counts: the strategy's own counters ("iterations", "backtracks", "duplicates", "fallbacks").
      votes: answer -> weight where there was a vote, best first.
      right_prob: the probability that the answer is right, of a strategy that estimates it.
    """

    trajectory: Trajectory | None
    stop_reason: StopReason
    answer: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    votes: Mapping[str, float] = field(default_factory=dict)
    right_prob: float | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A finished search with everything needed to re-create, judge and draw it.

    Attributes:
      search_id: its name within the run, unique.
      strategy: strategy name; `options` holds its resolved arguments.
      problem_id: the problem's id.
      seed: the seed from which all request seeds were derived.
      answer: the final answer in canonical form; None if the search found none.
      outcome: what the strategy returned.
      tree: every step that was proposed.
      usage: all that was charged, discarded and failed work included.
      requests: number of requests answered.
      error: what went wrong if `outcome.stop_reason` is "failed".
      failure: the model's error behind it, if it was one; not kept in journals.
    """

    search_id: str
    strategy: str
    options: Mapping[str, Any]
    problem_id: str
    seed: int
    answer: str | None
    outcome: Outcome
    tree: Tree
    usage: Usage
    requests: int
    error: str | None = None
    failure: BackendError | None = None
