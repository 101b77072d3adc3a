"""A policy that is the user's own function, sync or async."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from stepnav.core.backend import Answer
from stepnav.core.budget import Usage
from stepnav.core.errors import BackendError
from stepnav.core.records import Problem, Reply, Step, Trajectory
from stepnav.core.requests import Ask, Complete, PolicyRequest, Propose, Request, Score
from stepnav.core.seeds import derive_seed
from stepnav.core.thoughts import answer_part
from stepnav.engine.calls import CallQueue, is_coroutine
from stepnav.policies.resampling import MAX_STEPS, Known, at_once, draw_new, draw_sample
from stepnav.policies.splitting import ANSWER_PATTERN

_HALF_PAIR = re.compile("[\ud800-\udfff]")


class FunctionPolicy:
    r"""Asks a function for one step at a time.

    Args:
      function: called with the question and the list of steps so far; returns the next step's text,
        or a `Step`, or (text, number of tokens). It may ask by name for `temperature`, `top_p`,
        `max_tokens` and `seed`. A step that ends with a newline goes on, unless it holds the
        answer.
      answer_pattern: regular expression; a step in which it is found ends the solution. None
        leaves it to the function. Where only the function is given, it is the task's.
      max_step_tokens: the most tokens that it may count for a step, for budgets.
      workers: threads on which it may run at once, if it is no coroutine function.

    Tokens are charged as the function counts them, else one per word.

    Example:
      >>> policy = FunctionPolicy(lambda question, steps: "#### 4")
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        answer_pattern: str | None = ANSWER_PATTERN,
        max_step_tokens: int = 256,
        workers: int = 1,
    ) -> None:
        self._function = function
        self._answer = None if answer_pattern is None else re.compile(answer_pattern)
        self._max_step_tokens = max_step_tokens
        self._wanted = {"temperature", "top_p", "max_tokens", "seed"} & set(_parameters(function))
        self._is_async = is_coroutine(function)
        self._calls = CallQueue("policy function", workers=workers)

    def submit(self, ticket: int, request: Request) -> None:
        """Take a `Propose`, a `Complete` or an `Ask`; the last is shown as a question."""
        if isinstance(request, Score):
            raise TypeError("a policy cannot answer Score")
        if self._is_async:
            self._calls.submit(ticket, partial(self._sampled, ticket, request))
        else:
            self._calls.submit(ticket, lambda: at_once(self._sampled(ticket, request)))

    def poll(self, timeout_s: float) -> list[tuple[int, Answer | BackendError]]:
        """Return what the function has answered."""
        return self._calls.poll(timeout_s)

    def cancel(self, ticket: int) -> None:
        """Forget a request."""
        self._calls.cancel(ticket)

    def token_bound(self, request: Request) -> int:
        """Return the most tokens that the request may be charged."""
        assert not isinstance(request, Score), "a policy bounds policy requests only"
        return request.n * self._limit(request)

    def close(self) -> None:
        """Forget all requests; may be called twice."""
        self._calls.close()

    def _limit(self, request: PolicyRequest) -> int:
        if request.sampling.max_tokens is not None:
            return request.sampling.max_tokens
        return self._max_step_tokens * (MAX_STEPS if isinstance(request, Complete) else 1)

    async def _sampled(self, ticket: int, request: PolicyRequest) -> Answer:
        prefix = Trajectory(_question(request)) if isinstance(request, Ask) else request.prefix
        limit, known, items, generated = self._limit(request), Known(request), list[Any](), 0

        async def draw(prefix: Trajectory, seed: int, left: int) -> Step:
            if self._calls.is_left(ticket):
                raise BackendError("the search was left", provider="function")
            texts = [step.text for step in prefix.steps]
            written = self.call(prefix.problem.question, texts, request, seed)
            return self.step(await written if self._is_async else written, left, prefix.text)

        first = None if known.is_independent else partial(draw_new, known, draw)
        for index in range(request.n):
            seed = derive_seed(request.seed or 0, request.first + index)
            sample, spent = await draw_sample(request, prefix, seed, limit, draw, first)
            generated += spent
            if sample is not None:
                items.append(_item(request, sample))
        calls = request.n + known.repeated
        usage = Usage(policy_calls=calls, policy_tokens=generated, flops=None)
        return Answer(tuple(items), usage)

    def call(self, question: str, steps: list[str], request: PolicyRequest, seed: int) -> Any:
        """Return what the function returns, a coroutine if it is one."""
        sampling = request.sampling
        known = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": seed,
        }
        return self._function(question, steps, **{name: known[name] for name in self._wanted})

    def step(self, written: Any, left: int, before: str) -> Step:
        """Return what the function wrote after a text as a step of at most `left` tokens.

        Raises:
          BackendError: it is nothing that a policy may return.
        """
        pair: Any = (written.text, written.num_tokens) if isinstance(written, Step) else written
        text, tokens = pair if isinstance(pair, tuple) and len(pair) == 2 else (pair, None)
        if tokens is not None and hasattr(tokens, "item"):  # of numpy, of torch
            tokens = tokens.item()
        is_count = tokens is None or (isinstance(tokens, int) and tokens >= 0)
        if not isinstance(text, str) or not is_count:
            raise BackendError(
                "the policy function must return the next step's text, a Step, or (text, "
                f"number of tokens) (got {written!r:.80})",
                provider="function",
            )
        count = len(text.split()) or 1 if tokens is None else tokens
        if isinstance(written, Step):
            step = replace(written, num_tokens=count)
        else:
            is_last = self._answer and self._answer.search(answer_part(text, before))
            ends = not text.endswith("\n") or bool(is_last)
            step = Step(text, "end" if ends else "step", count)
        if _HALF_PAIR.search(step.text):  # nothing can encode it
            step = replace(step, text=_HALF_PAIR.sub("\ufffd", step.text))
        if step.num_tokens > left:
            words = step.text.split(" ")
            return Step(" ".join(words[:left]), "length", left)
        return step


def _item(request: PolicyRequest, sample: Trajectory) -> Any:
    """Return what answers a request of a sample."""
    last = sample.steps[-1]
    if isinstance(request, Ask):
        return Reply(last.text, "length" if last.is_cut else "end", last.num_tokens)
    return last if isinstance(request, Propose) else sample


def _question(request: Ask) -> Problem:
    return Problem("conversation", "\n\n".join(message.content for message in request.messages))


def _parameters(function: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a builtin that does not tell
        return []
