"""The search that a request wants, from its body and headers.

Of a budget the header counts before the body, and that before the server's own.
"""

from __future__ import annotations

import math
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from stepnav.core.budget import Budget
from stepnav.core.errors import ConfigError
from stepnav.core.records import Message, Problem
from stepnav.core.requests import REWARD
from stepnav.core.strategy import Strategy
from stepnav.run.search import Search
from stepnav.serve.bodies import (
    Body,
    CompletionsBody,
    ResponsesBody,
    SearchBody,
    Turn,
)
from stepnav.serve.errors import ApiError
from stepnav.serve.house import House
from stepnav.serve.sample import SAMPLE

Endpoint = Literal["chat", "completions", "responses"]

HARMLESS = frozenset(
    {
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "tool_choice",
    }
)
"""Fields that do not change what is generated."""

BUDGET_HEADER = "x-stepnav-budget"
TIMEOUT_HEADER = "x-request-timeout"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search that a request wants.

    Attributes:
      kind: of the request.
      model: its name as it was asked for.
      search: what to run.
      n: how many choices to return.
      max_seconds: from now on, waiting included.
      is_stream: whether the reply is to be streamed.
      has_usage_chunk: whether a stream ends with what was used.
      keeps_trace: whether its tree is kept.
      ignored: parts of the request that the search has no use for.
    """

    kind: Endpoint
    model: str
    search: Search
    n: int
    max_seconds: float
    is_stream: bool
    has_usage_chunk: bool
    keeps_trace: bool
    ignored: tuple[str, ...]

    @property
    def is_searched(self) -> bool:
        """Whether it is more than samples of the policy."""
        return self.search.strategy.name != SAMPLE.name


def make_wanted(
    house: House, kind: Endpoint, body: Body, asked: SearchBody, name: str | None,
    headers: Mapping[str, str],
) -> Wanted:  # fmt: skip
    """Return the search of a body that is in form."""
    ignored = [
        field
        for field, value in (body.model_extra or {}).items()
        if value and field not in HARMLESS
    ]
    chosen = SAMPLE if name is None else house.strategies[name]
    problem = _problem(house, kind, body, asked, ignored)
    limit = _tokens_asked(body)
    if name is None:
        chosen = chosen(samples=body.n or 1, **({} if limit is None else {"max_tokens": limit}))
    tokens = _budget(house, asked, headers, None if name is None else limit)
    chosen = _with_options(house, chosen, asked, body, ignored)
    strategy = chosen.for_budget(
        tokens, temperature=None if name is None else house.task.temperature
    )
    usual = asked.seed if asked.seed is not None else body.seed
    search = Search(
        id=uuid.uuid4().hex,
        strategy=strategy,
        problem=problem,
        extract=house.task.extract,
        budget=Budget(policy_tokens=tokens or house.limits.max_budget_tokens),
        seed=secrets.randbits(31) if usual is None else abs(usual),
        models=_models(house, asked),
    )
    return Wanted(
        kind=kind,
        model=body.model,
        search=search,
        n=body.n or 1,
        max_seconds=_seconds(house, asked, headers),
        is_stream=bool(body.stream),
        has_usage_chunk=bool(body.stream_options and body.stream_options.include_usage),
        keeps_trace=_keeps_trace(house, asked),
        ignored=tuple(ignored),
    )


def _problem(
    house: House, kind: Endpoint, body: Body, asked: SearchBody, ignored: list[str]
) -> Problem:
    """Return the last user turn as a problem, with the turns before it as its context."""
    turns: list[Message] = []
    found: list[Turn] = []
    if isinstance(body, CompletionsBody):
        question, param = body.text, "prompt"
    elif isinstance(body, ResponsesBody) and isinstance(body.input, str):
        question, param = body.input, "input"
    else:
        param = "messages" if kind == "chat" else "input"
        found = getattr(body, param)
        if not found or found[-1].role != "user":
            raise ApiError(400, f"the last turn of {param} must be the user's", param=param)
        question = found[-1].text
        turns = [Message(_role(turn.role), turn.text) for turn in found[:-1]]
    if isinstance(body, ResponsesBody) and body.instructions:
        turns.insert(0, Message("system", body.instructions))
    if not question.strip():
        raise ApiError(400, f"{param} holds no question; give its text", param=param)
    if turns and not house.takes_context:
        ignored.append("context")
        turns = []
    ask = house.task.ask
    try:
        problem = Problem("given", question) if ask is None else ask(question)
    except ConfigError as error:
        raise ApiError(400, str(error), param=param, code="invalid_value") from None
    return replace(problem, id=asked.problem_id or problem.id, context=tuple(turns))


def _role(role: str) -> Literal["system", "user", "assistant"]:
    return "user" if role == "user" else "assistant" if role == "assistant" else "system"


def _tokens_asked(body: Body) -> int | None:
    """Return the limit that counts all that is generated, which a budget is."""
    return body.max_completion_tokens or body.max_output_tokens


def _budget(
    house: House, asked: SearchBody, headers: Mapping[str, str], limit: int | None
) -> int | None:
    """Return the policy tokens that the strategy is told of; None for no limit but the largest."""
    budget, param = asked.budget_tokens or house.limits.budget_tokens, "stepnav.budget_tokens"
    if BUDGET_HEADER in headers:
        text, param = headers[BUDGET_HEADER], "X-Stepnav-Budget"
        if not (text.isascii() and text.isdecimal() and int(text[:18]) > 0):
            raise ApiError(
                400,
                f"{param} must be a number of tokens of at least 1 (got {text[:80]!r})",
                param=param,
            )
        budget = int(text[:18])
    most = house.limits.max_budget_tokens
    if budget is not None and budget > most:
        raise ApiError(400, f"{param} must be at most {most} (got {budget})", param=param)
    if limit is not None:
        budget = min(limit, most if budget is None else budget)
    return budget


def _with_options(
    house: House, chosen: Strategy, asked: SearchBody, body: Body, ignored: list[str]
) -> Strategy:
    """Return the strategy with the options of the `stepnav` object and the body's own sampling."""
    known, options = chosen.known_options, dict(asked.options)
    for name, value in options.items():
        option = known.get(name)
        if option is None or option.kind is not int or type(value) is not int:
            continue  # the strategy itself says what is wrong
        limits = house.limits
        most = limits.max_budget_tokens if name.endswith("tokens") else limits.max_count
        most = max(most, option.default or 0)
        if value > most:
            message = f"{name} must be at most {most} here (got {str(value)[:80]})"
            raise ApiError(400, message, param=f"stepnav.options.{name}")
    for field, names in _SAMPLING.items():
        value = getattr(body, field)
        place = next((name for name in names if name in known), None)
        if value is None or place in options:
            continue
        if place is None or (place == "temperature" and value == 0 and _needs_variety(chosen)):
            ignored.append(field)
        else:
            options[place] = value
    try:
        return chosen(**options)
    except ConfigError as error:
        raise ApiError(400, str(error), param="stepnav.options", code="invalid_value") from None


_SAMPLING: Mapping[str, tuple[str, ...]] = {
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "max_tokens": ("max_tokens", "max_step_tokens"),
}
"""Field of a body -> the option of a strategy that it sets, the first that there is."""


def _needs_variety(strategy: Strategy) -> bool:
    """Return whether greedy draws would leave a strategy nothing to choose from."""
    return strategy.name != SAMPLE.name and bool(strategy.known_options["temperature"].default)


def _seconds(house: House, asked: SearchBody, headers: Mapping[str, str]) -> float:
    found = [house.limits.max_seconds]
    if asked.max_seconds is not None:
        found.append(asked.max_seconds)
    text = headers.get(TIMEOUT_HEADER)
    if text is not None:
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise ApiError(
                400, f"X-Request-Timeout must be a number of seconds above 0 (got {text[:80]!r})",
                param="X-Request-Timeout",
            )  # fmt: skip
        found.append(seconds)
    return min(found)


def _models(house: House, asked: SearchBody) -> dict[str, str]:
    """Return which model stands for the reward model, where it is another one than usual."""
    if asked.reward in (None, house.reward):
        return {}
    if asked.reward not in house.rewards:
        there = ", ".join(filter(None, (house.reward, *house.rewards))) or "none"
        message = f"there is no reward model {asked.reward[:200]!r} here; there is {there}"
        raise ApiError(400, message, param="stepnav.reward", code="unknown_reward")
    return {REWARD: house.rewards[asked.reward]}


def _keeps_trace(house: House, asked: SearchBody) -> bool:
    if asked.trace and house.traces is None:
        raise ApiError(
            400,
            "this server keeps no traces; it was started without --traces",
            param="stepnav.trace",
        )
    return house.traces is not None and asked.trace is not False
