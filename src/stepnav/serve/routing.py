"""What a request wants: a search, or to be handed on as it is. Nothing is run here.

The model's name says which: `STRATEGY-MODEL` is a search, MODEL alone is none, unless the `stepnav`
object or the header X-Stepnav-Budget asks for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from stepnav.core.errors import ConfigError, nearest
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
from stepnav.serve.wanted import BUDGET_HEADER, Endpoint, Wanted, make_wanted

BODIES: Mapping[Endpoint, type[Body]] = {
    "chat": ChatBody, "completions": CompletionsBody, "responses": ResponsesBody,
}  # fmt: skip

UNSEARCHABLE = (
    *("tools", "functions", "logprobs", "top_logprobs", "response_format", "audio", "modalities"),
    *("echo", "suffix", "best_of", "text", "web_search_options", "prediction"),
)
"""Fields that a search cannot serve."""

TEXT_FIELDS: Mapping[Endpoint, str] = {
    "chat": "messages", "completions": "prompt", "responses": "input",
}  # fmt: skip
"""Where the question of a request stands."""

STATEFUL = ("previous_response_id", "conversation", "background")
"""Fields of a server that keeps answers, as this one does not."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that goes to the model server.

    Attributes:
      reason: the field because of which it is not searched, although that was asked for.
    """

    reason: str | None = None


def decide(house: House, kind: Endpoint, raw: Any, headers: Mapping[str, str]) -> Passed | Wanted:
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
    param = _unsearchable_field(raw)
    why = "a search has no use for it; leave it out"
    if param is None:
        param = TEXT_FIELDS[kind]
        why = _beyond_search(kind, raw.get(param))
    if why:
        if house.server is not None:
            return Passed(param)
        raise ApiError(
            400, f"{param} cannot be served here, where the policy runs in this process: {why}",
            param=param, code="unsupported_field",
        )  # fmt: skip
    try:
        body = BODIES[kind].model_validate(raw)
    except ValidationError as error:
        raise invalid(error) from None
    return make_wanted(house, kind, body, asked or SearchBody(), name, headers)


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
            404, f"there is no model {model[:200]!r}{nearest(model[:200], known)}; there are "
                 f"{', '.join(known)}",
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


def _unsearchable_field(raw: Mapping[str, Any]) -> str | None:
    """Return a field that no search can serve whatever the question is."""
    for name in STATEFUL:
        if raw.get(name):
            raise ApiError(
                400, f"{name} needs a server that keeps answers; this one keeps none", param=name
            )
    for name in UNSEARCHABLE:
        value = raw.get(name)
        is_plain_text = name in ("response_format", "text", "modalities") and (
            value in ({"type": "text"}, {"format": {"type": "text"}}, ["text"])
        )
        is_count = name in ("logprobs", "best_of") and not isinstance(value, bool)
        is_unset = value is None if is_count and value != 1 else not value
        if not is_unset and not is_plain_text and not (name == "best_of" and value == 1):
            return name
    return None


def _beyond_search(kind: Endpoint, given: Any) -> str:
    """Return why no search can take a text; empty if one can, or if its form is wrong."""
    if not isinstance(given, list):
        return ""
    if kind == "completions":
        if any(not isinstance(item, str) for item in given):
            return "a search takes text, and it holds tokens"
        return "" if len(given) == 1 else f"a search takes one text, and it holds {len(given)}"
    try:
        turns = [Turn.model_validate(turn) for turn in given]
    except ValidationError:
        return ""
    for turn in turns:
        if turn.beyond_text:
            return f"a search takes text alone, and it holds {turn.beyond_text}"
    if turns and turns[-1].role == "assistant":
        return "a search takes a question, and its last turn is an answer that is already begun"
    return ""
