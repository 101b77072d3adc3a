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

    def tokens(self, steps: Sequence[Step], totals: Sequence[int]) -> int:
        """Return how many tokens of a trajectory are known, given those of each of its prefixes."""
        if not self._has_prompt:
            return 0
        key = _PROMPT
        for depth, step in enumerate(steps):
            found = self._key_of.get((key, step.text))
            if found is None:
                return totals[depth]
            key = found
        return totals[len(steps)]

    def longest(self, steps: Sequence[Step]) -> int:
        """Return how many tokens of a trajectory are known, as far as was told before."""
        key, found = _PROMPT, self._tokens.get(_PROMPT, 0)
        for step in steps:
            key = self._key_of.get((key, step.text), -1)
            if key not in self._tokens:
                break
            found = self._tokens[key]
        return found

    def add(self, steps: Sequence[Step], totals: Sequence[int] | None = None) -> None:
        """Remember a trajectory and all its prefixes, and how many tokens each has."""
        self._has_prompt = True
        keys = [_PROMPT]
        for step in steps:
            keys.append(self._key_of.setdefault((keys[-1], step.text), len(self._key_of) + 1))
        self._tokens.update(zip(keys, totals or ()))


def charge(request: Request, answer: Answer, known: KnownPrefixes) -> Usage:
    """Return what a search pays for a request, and remember what its model has now processed.

    Args:
      request: what was asked.
      answer: the backend's answer, with its own usage.
      known: what the same model has processed for this search before; is added to.
    """
    if isinstance(request, Score):
        usage = _charge_score(request.trajectory, answer, known)
        known.add(request.trajectory.steps, answer.prefix_tokens)
        return usage
    if isinstance(request, Ask):
        return _charge_prompt(None, request.n, answer, known)
    usage = _charge_prompt(request.prefix, request.n, answer, known)
    if not answer.items:
        known.add(request.prefix.steps)
    for item in answer.items:  # each begins with the prefix
        if isinstance(item, Trajectory):
            known.add(item.steps)
        else:
            known.add((*request.prefix.steps, item))
    return usage


def _charge_score(trajectory: Trajectory, answer: Answer, known: KnownPrefixes) -> Usage:
    if answer.prefix_tokens is None:
        return answer.usage
    cached = known.tokens(trajectory.steps, answer.prefix_tokens)
    new = answer.prefix_tokens[-1] - cached
    return Usage(
        reward_calls=answer.usage.reward_calls,
        reward_tokens=new,
        reward_cached_tokens=cached,
        flops=_flops(answer.flops_per_token, new),
    )


def _charge_prompt(
    prefix: Trajectory | None, n: int, answer: Answer, known: KnownPrefixes
) -> Usage:
    """Return what `n` samples from a prompt cost; a conversation (None) shares nothing."""
    if answer.prefix_tokens is None:
        return answer.usage
    total = n * answer.prefix_tokens[-1]
    cached = total - answer.prefix_tokens[-1]
    if prefix is not None:
        cached += known.tokens(prefix.steps, answer.prefix_tokens)
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
