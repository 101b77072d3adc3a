"""What a request lets its search spend, and how its strategy is set."""

from __future__ import annotations

import math
from collections.abc import Mapping

from stepnav.core.errors import ConfigError
from stepnav.core.strategy import Strategy
from stepnav.serve.bodies import Body, SearchBody
from stepnav.serve.errors import ApiError
from stepnav.serve.house import House
from stepnav.serve.sample import SAMPLE

BUDGET_HEADER = "x-stepnav-budget"
TIMEOUT_HEADER = "x-request-timeout"


def tokens_asked(body: Body) -> int | None:
    """Return the limit that counts all that is generated, which a budget is."""
    return body.max_completion_tokens or body.max_output_tokens


def budget_of(
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


def with_options(
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
        is_useless = field == "temperature" and value == 0 and _needs_variety(chosen)
        if place is None or is_useless:
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


def seconds_of(house: House, asked: SearchBody, headers: Mapping[str, str]) -> float:
    """Return how long a search may take, waiting included: the shortest of what is said."""
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
