"""What a request wants: a search, or to be handed to the model server as it is. Nothing is run here.

The model's name says which: `STRATEGY-MODEL` is a search, MODEL alone is none, unless the `stepnav`
object or the header X-Stepnav-Budget asks for one. Of a budget the header counts before the body, and
that before the server's own.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from pydantic import ValidationError

from stepnav.core.budget import Budget
from stepnav.core.errors import ConfigError, nearest
from stepnav.core.records import Message, Problem
from stepnav.policies.splitting import split_thinking
from stepnav.run.search import Search
from stepnav.serve.bodies import (
    Body,
    ChatBody,
    CompletionsBody,
    ResponsesBody,
    SearchBody,
    Turn,
)
from stepnav.serve.errors import ApiError, invalid
from stepnav.serve.house import House
from stepnav.serve.sample import SAMPLE
from stepnav.serve.spending import (
    BUDGET_HEADER,
    budget_of,
    seconds_of,
    tokens_asked,
    with_options,
)
from stepnav.serve.unsearchable import Kind, unsearchable
from stepnav.tasks.task import Task

BODIES: Mapping[Kind, type[Body]] = {
    "chat": ChatBody, "completions": CompletionsBody, "responses": ResponsesBody,
}  # fmt: skip

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


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that goes to the model server.

    Attributes:
      reason: the field because of which it is not searched, although that was asked for.
    """

    reason: str | None = None


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

    kind: Kind
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


def decide(house: House, kind: Kind, raw: Any, headers: Mapping[str, str]) -> Passed | Wanted:
    """Return what a request wants.

    Args:
      house: what there is.
      kind: of the request.
      raw: its body, parsed.
      headers: with names in lower case.
    Raises:
      ApiError: something in it cannot be served.
    """
    if not isinstance(raw, dict):
        raise ApiError(400, "the body must be a JSON object", code="invalid_value")
    asked = _search_body(raw)
    name = _strategy_name(house, raw.get("model"), asked, headers)
    if name is None and house.server is not None:
        return Passed()
    reason = unsearchable(kind, raw)
    if reason is not None:
        if house.server is not None:
            return Passed(reason)
        raise ApiError(
            400, f"{reason} cannot be served here: a search has no use for it, and the policy runs in this "
            "process; leave it out", param=reason, code="unsupported_field",
        )  # fmt: skip
    try:
        body = BODIES[kind].model_validate(raw)
    except ValidationError as error:
        raise invalid(error) from None
    return _wanted(house, kind, body, asked or SearchBody(), name, headers)


def _search_body(raw: Mapping[str, Any]) -> SearchBody | None:
    given = raw.get("stepnav")
    if given is None:
        return None
    try:
        return SearchBody.model_validate(given)
    except ValidationError as error:
        found = invalid(error)
        param = f"stepnav.{found.param}" if found.param else "stepnav"
        message = str(found).replace(found.param or "", param, 1) if found.param else str(found)
        raise ApiError(400, message, param=param, code=found.code) from None


def _strategy_name(
    house: House, model: Any, asked: SearchBody | None, headers: Mapping[str, str]
) -> str | None:
    """Return the name of the strategy that is asked for; None for no search."""
    if not isinstance(model, str):
        raise ApiError(
            400, "model must be the name of a model", param="model", code="missing_field"
        )
    suffix = f"-{house.model}"
    prefix: str | None = model.removesuffix(suffix) if model.endswith(suffix) else ""
    if model == house.model:
        prefix = None
    if prefix is not None and prefix not in house.strategies:
        known = house.served_models
        raise ApiError(
            404, f"there is no model {model[:200]!r}{nearest(model[:200], known)}; there are {', '.join(known)}",
            param="model", code="model_not_found",
        )  # fmt: skip
    own = None if asked is None else asked.strategy
    param = "model" if own is None else "stepnav.strategy"
    if own is not None and prefix not in (None, own):
        message = f"the model {model!r} and the strategy {own[:200]!r} contradict each other"
        raise ApiError(400, message, param=param, code="invalid_value")
    wants_search = asked is not None or BUDGET_HEADER in headers
    name = own or prefix or (house.default if wants_search else None)
    try:
        return None if name is None else house.strategy(name[:200]).name
    except ConfigError as error:
        raise ApiError(400, str(error), param=param, code="unknown_strategy") from None


def _wanted(
    house: House, kind: Kind, body: Body, asked: SearchBody, name: str | None,
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
    limit = tokens_asked(body)
    if name is None:
        chosen = chosen(samples=body.n or 1, **({} if limit is None else {"max_tokens": limit}))
    tokens = budget_of(house, asked, headers, None if name is None else limit)
    chosen = with_options(house, chosen, asked, body, ignored)
    strategy = chosen.for_budget(
        tokens, temperature=None if name is None else house.task.temperature
    )
    usual = asked.seed if asked.seed is not None else body.seed
    search = Search(
        id=uuid.uuid4().hex,
        strategy=strategy,
        problem=problem,
        extract=partial(_answer_of, house.task),
        budget=Budget(policy_tokens=tokens or house.limits.max_budget_tokens),
        seed=secrets.randbits(31) if usual is None else abs(usual),
    )
    return Wanted(
        kind=kind,
        model=body.model,
        search=search,
        n=body.n or 1,
        max_seconds=seconds_of(house, asked, headers),
        is_stream=bool(body.stream),
        has_usage_chunk=bool(body.stream_options and body.stream_options.include_usage),
        keeps_trace=_keeps_trace(house, asked),
        ignored=tuple(ignored),
    )


def _problem(
    house: House, kind: Kind, body: Body, asked: SearchBody, ignored: list[str]
) -> Problem:
    """Return the last user turn as a problem, with the turns before it as its context."""
    turns: list[Message] = []
    found: list[Turn] = []
    if isinstance(body, CompletionsBody):
        question, param = str(body.prompt), "prompt"
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
    problem = Problem("given", question) if ask is None else ask(question)
    return replace(problem, id=asked.problem_id or problem.id, context=tuple(turns))


def answer_part(text: str) -> str:
    """Return a solution without what a thinking model thought before it."""
    return split_thinking(text)[1]


def _answer_of(task: Task, text: str) -> str | None:
    """Return a solution's answer, which no guess in the middle of a thought is."""
    return task.extract(answer_part(text))


def _role(role: str) -> Literal["system", "user", "assistant"]:
    return "user" if role == "user" else "assistant" if role == "assistant" else "system"


def _keeps_trace(house: House, asked: SearchBody) -> bool:
    if asked.reward is not None and asked.reward != house.reward:
        there = house.reward or "none"
        message = f"there is no reward model {asked.reward[:200]!r} here; there is {there}"
        raise ApiError(400, message, param="stepnav.reward", code="unknown_reward")
    if asked.trace and house.traces is None:
        raise ApiError(
            400,
            "this server keeps no traces; it was started without --traces",
            param="stepnav.trace",
        )
    return house.traces is not None and asked.trace is not False
