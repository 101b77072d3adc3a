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
from stepnav.core.records import Reply, Step, Trajectory
from stepnav.core.requests import Ask, Complete, PolicyRequest, Propose, Request, Score
from stepnav.core.seeds import derive_seed
from stepnav.engine.calls import CallQueue, is_coroutine
from stepnav.policies.resampling import Known

ANSWER_PATTERN = r"####|\\boxed\{"
MAX_STEPS = 64

_HALF_PAIR = re.compile("[\ud800-\udfff]")

Written = "str | Step | tuple[str, int]"


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
        self._calls = CallQueue("policy function", workers=workers)

    def submit(self, ticket: int, request: Request) -> None:
        """Take a `Propose`, a `Complete` or an `Ask`; the last is shown as a question."""
        if isinstance(request, Score):
            raise TypeError("a policy cannot answer Score")
        if is_coroutine(self._function):
            self._calls.submit(ticket, partial(_awaited, self, request))
        else:
            self._calls.submit(ticket, partial(_run, self, request))

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

    def step(self, written: Any, left: int) -> Step:
        """Return what the function wrote as a step of at most `left` tokens.

        Raises:
          BackendError: it is nothing that a policy may return.
        """
        if isinstance(written, Step):
            step = written
        else:
            pair = written if isinstance(written, tuple) else (written, None)
            text, tokens = pair if len(pair) == 2 else (None, None)
            is_count = tokens is None or (isinstance(tokens, int) and tokens >= 0)
            if not isinstance(text, str) or not is_count:
                raise BackendError(
                    "the policy function must return the next step's text, a Step, or (text, "
                    f"number of tokens) (got {written!r:.80})",
                    provider="function",
                )
            ends = not text.endswith("\n") or bool(self._answer and self._answer.search(text))
            count = len(text.split()) or 1 if tokens is None else tokens
            step = Step(text, "end" if ends else "step", count)
        if _HALF_PAIR.search(step.text):  # nothing can encode it
            step = replace(step, text=_HALF_PAIR.sub("\ufffd", step.text))
        if step.num_tokens > left:
            words = step.text.split(" ")
            return Step(" ".join(words[:left]), "length", left)
        return step


def _samples(policy: FunctionPolicy, request: PolicyRequest) -> Any:
    """Ask for a request's samples; yields calls, is sent what they return, returns the answer."""
    items: list[Any] = []
    generated = 0
    is_whole = isinstance(request, Complete)
    known = Known(request)
    for index in range(request.n):
        seed = derive_seed(request.seed or 0, request.first + index)
        prefix = Trajectory(_question(request)) if isinstance(request, Ask) else request.prefix
        left = policy._limit(request)
        for number in range(MAX_STEPS if is_whole else 1):
            texts = [step.text for step in prefix.steps]
            own_seed = derive_seed(seed, number) if is_whole else seed
            call = partial(policy.call, prefix.problem.question, texts, request)
            step, spent = yield from _step(policy, call, own_seed, left, None if number else known)
            left -= spent
            generated += spent
            if step is None:
                break
            if is_whole and step.finish == "step" and left <= 0:
                step = Step(step.text, "length", step.num_tokens)
            prefix = prefix.extend(step)
            if step.finish != "step":
                break
        if step is None:
            continue
        if isinstance(request, Propose):
            items.append(prefix.steps[-1])
        elif isinstance(request, Ask):
            last = prefix.steps[-1]
            items.append(Reply(last.text, "length" if last.is_cut else "end", last.num_tokens))
        else:
            items.append(prefix)
    usage = Usage(policy_calls=request.n, policy_tokens=generated, flops=None)
    return Answer(tuple(items), usage)


def _step(
    policy: FunctionPolicy, call: Callable[[int], Any], seed: int, left: int, known: Known | None
) -> Any:
    """Ask for a step until it is new; returns it, None if none was, and the tokens of all."""
    spent = 0
    for again in range(1 if known is None else known.max_draws):
        written = yield call(derive_seed(seed, "again", again) if again else seed)
        step = policy.step(written, left - spent)
        spent += step.num_tokens
        if known is None or known.takes(step, again):
            return step, spent
        if spent >= left:
            break
    return None, spent


def _run(policy: FunctionPolicy, request: PolicyRequest) -> Answer:
    samples, sent = _samples(policy, request), None
    while True:
        try:
            sent = samples.send(sent)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


async def _awaited(policy: FunctionPolicy, request: PolicyRequest) -> Answer:
    samples, sent = _samples(policy, request), None
    while True:
        try:
            call = samples.send(sent)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        sent = await call


def _question(request: Ask) -> Any:
    from stepnav.core.records import Problem

    return Problem("conversation", "\n\n".join(message.content for message in request.messages))


def _parameters(function: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # a builtin that does not tell
        return []
