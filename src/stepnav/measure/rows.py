"""One finished search as one plain row: what reports, plots and the Parquet file are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepnav.core.outcome import SearchResult, StopReason
from stepnav.measure.plan import Cell

SPENT = (
    "policy_tokens", "policy_prompt_tokens", "policy_cached_tokens", "reward_tokens",
    "policy_calls", "reward_calls", "seconds",
)  # fmt: skip
"""Fields of a row that are a search's usage."""
COUNTED = ("iterations", "backtracks", "duplicates", "fallbacks")
"""Fields of a row that are a strategy's counters."""


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One finished search.

    Attributes:
      search_id: unique within the run.
      strategy: the strategy's name.
      label: its name in the report, unique per set of options.
      options: its resolved arguments.
      budget: limit on the policy tokens of the search, None for no limit.
      problem_id: the problem.
      repeat: which repeat of the problem, from 0.
      correct: whether the answer is right; None where that could not be decided.
      answer: the final answer, None if there is none.
      stop_reason: why the search stopped.
      policy_tokens: generated tokens, discarded and failed ones included.
      policy_prompt_tokens: prompt and prefix tokens, cached ones included.
      policy_cached_tokens: the part of them that was not encoded again.
      reward_tokens: tokens that the reward model processed.
      policy_calls: sampled sequences.
      reward_calls: scored trajectories.
      requests: requests answered.
      seconds: the search's own wall-clock seconds; searches overlap, so they do not add up.
      flops: floating-point operations of both models, None if a model's size is unknown.
      backtracks, duplicates, iterations, fallbacks: the strategy's counters; None where it has
        no such counter.
      failed: whether the backend gave up on one of the search's requests.
      oracle: whether the reward model read the reference answer: an upper bound.
      right_prob: how likely the answer is right, of a strategy that estimates it.
      covered: whether one of the search's solutions is right, chosen or not; None where that was
        not looked at, or could not be decided.
    """

    search_id: str
    strategy: str
    label: str
    options: Mapping[str, Any]
    budget: int | None
    problem_id: str
    repeat: int
    correct: bool | None
    answer: str | None
    stop_reason: StopReason
    policy_tokens: int
    policy_prompt_tokens: int
    policy_cached_tokens: int
    reward_tokens: int
    policy_calls: int
    reward_calls: int
    requests: int
    seconds: float
    flops: float | None
    backtracks: int | None = None
    duplicates: int | None = None
    iterations: int | None = None
    fallbacks: int | None = None
    failed: bool = False
    oracle: bool = False
    right_prob: float | None = None
    covered: bool | None = None

    @property
    def group(self) -> tuple[str, int | None]:
        """What is averaged over: all searches of one label and budget."""
        return self.label, self.budget


def says_nothing(result: SearchResult) -> bool:
    """Return whether a search has no answer because it failed: that tells nothing of a strategy."""
    return result.outcome.stop_reason == "failed" and result.answer is None


def make_row(
    result: SearchResult,
    cell: Cell,
    *,
    correct: bool | None,
    oracle: bool = False,
    covered: bool | None = None,
) -> ResultRow:
    """Return the row of a finished search.

    Args:
      result: what the driver made of the search.
      cell: the plan's cell that the search belongs to.
      correct: the grade of its answer; a search without an answer is wrong (False), but not one
        that `says_nothing`.
      oracle: whether the run's reward model reads the reference answer; marks the row if the
        search asked it anything.
      covered: whether one of its solutions is right; None if that is not known.
    """
    usage, outcome = result.usage, result.outcome
    spent: dict[str, Any] = {name: getattr(usage, name) for name in SPENT}
    counted: dict[str, Any] = {name: outcome.counts.get(name) for name in COUNTED}
    return ResultRow(
        search_id=result.search_id,
        strategy=result.strategy,
        label=cell.strategy.label,
        options=result.options,
        budget=cell.budget,
        problem_id=result.problem_id,
        repeat=cell.repeat,
        correct=None if says_nothing(result) else correct,
        answer=result.answer,
        stop_reason=outcome.stop_reason,
        **spent,
        requests=result.requests,
        flops=None if usage.flops is None else float(usage.flops),
        **counted,
        failed=outcome.stop_reason == "failed",
        oracle=oracle and usage.reward_calls > 0,
        right_prob=outcome.right_prob,
        covered=None if says_nothing(result) else covered,
    )
