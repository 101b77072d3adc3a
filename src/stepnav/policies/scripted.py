"""A policy that plays from a script: the public fake for tests, examples and golden trees."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError
from stepnav.core.records import Reply, Step, Trajectory
from stepnav.core.requests import (
    POLICY_REQUESTS,
    Ask,
    Complete,
    Message,
    PolicyRequest,
    Propose,
    Request,
    Sampling,
)
from stepnav.core.seeds import derive_seed
from stepnav.policies.resampling import DrawNew, Known, at_once, draw_new, draw_sample

_UNLISTED = ("#### ?",)


class ScriptedPolicy:
    r"""Answers requests from a function or a table; one token per word.

    Args:
      next_step: returns the text of the next step, given the prefix, a seed and a temperature. A
        text that ends with a newline is a step; any other one ends the solution. Or a `Step`.
      max_tokens: limit of a request that sets none.
      reply: returns the answer to a conversation, given the messages and a seed.

    Example:
      >>> policy = ScriptedPolicy.from_table({"": ["1 + 1 = 2\n"], "1 + 1 = 2\n": ["#### 2"]})
    """

    def __init__(
        self,
        next_step: Callable[[Trajectory, int, float], str | Step],
        *,
        max_tokens: int = 1000,
        reply: Callable[[Sequence[Message], int], str] = lambda messages, seed: "",
    ) -> None:
        self._next_step = next_step
        self._table: Mapping[str, Sequence[str]] | None = None
        self._reply = reply
        self._max_tokens = max_tokens
        self._waiting: deque[tuple[int, PolicyRequest]] = deque()

    @classmethod
    def from_table(
        cls,
        table: Mapping[str, Sequence[str]],
        *,
        reply: Callable[[Sequence[Message], int], str] = lambda messages, seed: "",
    ) -> ScriptedPolicy:
        """Return a policy that draws evenly from the steps listed for a prefix's text.

        At temperature 0 it takes the first. A prefix that is not listed ends with "#### ?". Draws
        without replacement are exact.
        """

        def next_step(prefix: Trajectory, seed: int, temperature: float) -> str:
            steps = table.get(prefix.text, _UNLISTED)
            return steps[0 if temperature == 0 else derive_seed(seed) % len(steps)]

        policy = cls(next_step, reply=reply)
        policy._table = table
        return policy

    def submit(self, ticket: int, request: Request) -> None:
        """Take a request."""
        if not isinstance(request, POLICY_REQUESTS):
            raise TypeError(f"a policy cannot answer {type(request).__name__}")
        self._waiting.append((ticket, request))

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Answer everything that waits."""
        answers: list[tuple[int, Answer | BackendError]] = []
        while self._waiting:
            ticket, request = self._waiting.popleft()
            answers.append((ticket, self._answer(request)))
        return answers

    def cancel(self, ticket: int) -> None:
        """Forget a request."""
        self._waiting = deque(item for item in self._waiting if item[0] != ticket)

    def token_bound(self, request: Request) -> int:
        """Return the most tokens that the request may generate."""
        assert isinstance(request, POLICY_REQUESTS), "a policy bounds policy requests only"
        return request.n * self._limit(request.sampling)

    def close(self) -> None:
        """Forget all requests."""
        self._waiting.clear()

    def _limit(self, sampling: Sampling) -> int:
        return self._max_tokens if sampling.max_tokens is None else sampling.max_tokens

    def _answer(self, request: PolicyRequest) -> Answer:
        if isinstance(request, Ask):
            return self._answer_ask(request)
        totals = [_num_words(request.prefix.problem.question)]
        for step in request.prefix.steps:
            totals.append(totals[-1] + _num_words(step.text))
        known = Known(request)
        samples = self._samples(request, known)
        found = [sample for sample, _ in samples if sample is not None]
        is_step = isinstance(request, Propose)
        items = tuple(sample.steps[-1] if is_step else sample for sample in found)
        generated = sum(spent for _, spent in samples)
        usage = Usage(
            policy_calls=request.n + known.repeated,
            policy_prompt_tokens=request.n * totals[-1],
            policy_tokens=generated,
            flops=None,
        )
        return Answer(items, usage, tuple(totals))

    def _answer_ask(self, request: Ask) -> Answer:
        limit = self._limit(request.sampling)
        replies = []
        for index in range(request.n):
            words = self._reply(request.messages, _seed(request, index)).split(" ")
            kept, is_cut = words[:limit], len(words) > limit
            replies.append(Reply(" ".join(kept), "length" if is_cut else "end", len(kept)))
        prompt = sum(_num_words(message.content) for message in request.messages)
        usage = Usage(
            policy_calls=request.n,
            policy_prompt_tokens=request.n * prompt,
            policy_tokens=sum(reply.num_tokens for reply in replies),
            flops=None,
        )
        return Answer(tuple(replies), usage, (prompt,))

    def _samples(
        self, request: Propose | Complete, known: Known
    ) -> list[tuple[Trajectory | None, int]]:
        """Return the prefix with each sample, None if its steps are known, and the tokens drawn."""
        temperature, limit = request.sampling.temperature, self._limit(request.sampling)

        async def draw(prefix: Trajectory, seed: int, left: int) -> Step:
            return _as_step(self._next_step(prefix, seed, temperature), left)

        async def listed(prefix: Trajectory, seed: int, left: int) -> tuple[Step | None, int]:
            texts = (self._table or {}).get(prefix.text, _UNLISTED)
            steps = [_as_step(text, left) for text in texts]
            new = [step for step in steps if not known.holds(step)]
            if not new:  # nothing is left, or the limit leaves nothing that could be told apart
                return None, left if any(step.is_cut for step in steps) else 0
            step = new[0 if temperature == 0 else derive_seed(seed) % len(new)]
            known.add(step)
            return step, step.num_tokens

        first: DrawNew | None = None
        if not known.is_independent:
            first = partial(draw_new, known, draw) if self._table is None else listed
        return [
            at_once(draw_sample(request, request.prefix, _seed(request, index), limit, draw, first))
            for index in range(request.n)
        ]


def _as_step(written: str | Step, left: int) -> Step:
    if isinstance(written, Step) and written.num_tokens <= left:
        return written
    text = written.text if isinstance(written, Step) else written
    num_words = _num_words(text)
    if num_words > left:
        cut = " ".join(text.split()[:left])
        return Step(cut, "length", left)
    return Step(text, "step" if text.endswith("\n") else "end", num_words)


def _seed(request: PolicyRequest, index: int) -> int:
    assert request.seed is not None, "the driver gives each policy request a seed"
    return derive_seed(request.seed, request.first + index)


def _num_words(text: str) -> int:
    return max(1, len(text.split()))
