"""What a search is charged for a request.

A backend tells what a request really cost it, which depends on its cache: on what other searches
shared, on evictions, on a restart in the middle. A charge that changed with them would let a budget
end the same search at different places. So, where the backend tells how many tokens each prefix
has, a search pays for every prefix once: as if it had the cache to itself and nothing were ever
evicted.
Where the backend does not tell, its own figures stand.
"""

from __future__ import annotations

from collections.abc import Sequence

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.records import Step, Trajectory
from stepnav.core.requests import Ask, Request, Score

_PROMPT = 0


class KnownPrefixes:
    """The prefixes that one model has processed for one search."""

    __slots__ = ("_has_prompt", "_key_of", "_tokens")

    def __init__(self) -> None:
        self._key_of: dict[tuple[int, str], int] = {}
        self._tokens: dict[int, int] = {}  # by key, of prefixes of which it was told
        self._has_prompt = False

    def longest(self, steps: Sequence[Step]) -> int:
        """Return how many tokens of a trajectory are known, as far as was told before."""
        key, found = _PROMPT, self._tokens.get(_PROMPT, 0)
        for step in steps:
            key = self._key_of.get((key, step.text), -1)
            if key not in self._tokens:
                break
            found = self._tokens[key]
        return found

    def add(self, steps: Sequence[Step], totals: Sequence[int] | None = None) -> int:
        """Remember a trajectory's prefixes and their tokens; return how many were known before.

        The prompt alone is one of them; the known ones are the shortest.
        """
        known, num_keys, keys = int(self._has_prompt), len(self._key_of), [_PROMPT]
        self._has_prompt = True
        for step in steps:
            key = self._key_of.setdefault((keys[-1], step.text), len(self._key_of) + 1)
            known += key <= num_keys
            keys.append(key)
        if totals is not None:
            self._tokens.update(zip(keys, totals))
        return known


def charge(request: Request, answer: Answer, known: KnownPrefixes) -> Usage:
    """Return what a search pays for a request, and remember what its model has now processed.

    Args:
      request: what was asked.
      answer: the backend's answer, with its own usage.
      known: what the same model has processed for this search before; is added to.
    """
    if isinstance(request, Score):
        return _charge_score(answer, known.add(request.trajectory.steps, answer.prefix_tokens))
    if isinstance(request, Ask):  # a conversation shares nothing
        return _charge_draws(answer, request.n, 0)
    prefix = request.prefix.steps
    drawn = [i.steps if isinstance(i, Trajectory) else (*prefix, i) for i in answer.items]
    found = [known.add(steps) for steps in drawn or [prefix]]  # each begins with the prefix
    return _charge_draws(answer, request.n, min(found[0], len(prefix) + 1))


def _charge_score(answer: Answer, num_known: int) -> Usage:
    totals = answer.prefix_tokens
    if totals is None:
        return answer.usage
    cached = totals[num_known - 1] if num_known else 0
    new = totals[-1] - cached
    return Usage(
        reward_calls=answer.usage.reward_calls,
        reward_tokens=new,
        reward_cached_tokens=cached,
        flops=_flops(answer.flops_per_token, new),
    )


def _charge_draws(answer: Answer, n: int, num_known: int) -> Usage:
    """Return what `n` samples from a prompt cost, of whose prefixes some were known."""
    totals = answer.prefix_tokens
    if totals is None:
        return answer.usage
    total = n * totals[-1]
    cached = total - totals[-1] + (totals[num_known - 1] if num_known else 0)
    generated = answer.usage.policy_tokens
    return Usage(
        policy_calls=answer.usage.policy_calls,
        policy_prompt_tokens=total,
        policy_cached_tokens=cached,
        policy_tokens=generated,
        failed_tokens=answer.usage.failed_tokens,
        flops=_flops(answer.flops_per_token, total - cached + generated),
    )


def _flops(flops_per_token: int | None, tokens: int) -> int | None:
    return None if flops_per_token is None else flops_per_token * tokens
