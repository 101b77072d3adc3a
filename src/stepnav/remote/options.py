"""How to use a server, in one record: the key, limits of time, traffic and tokens, extra fields."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stepnav.core.errors import ConfigError

OWN_FIELDS = frozenset(
    {
        *("model", "prompt", "messages", "n", "seed", "stop", "temperature", "top_p", "stream"),
        *("max_tokens", "max_completion_tokens", "logprobs", "generation_config"),
        *("continue_final_message", "add_generation_prompt"),
        *("include_stop_str_in_output", "no_stop_trim"),
    }
)
"""Fields that are set here for each request, so that nobody else may."""


KEY_ADVICE = "set OPENAI_API_KEY, or name another variable that holds it with --api-key-env"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to use a server.

    Attributes:
      api_key: sent as a bearer token; None sends none. Never shown, not even by `repr`.
      max_concurrency: most HTTP requests in flight at once.
      timeout_s: wall-clock limit of one HTTP request, from sending to the last byte.
      max_retries: how often a failed one is sent again.
      backoff_s: first pause before that; doubles with each retry, times a random factor in
        [0.5, 1.5].
      max_wait_s: longest pause; a server that asks for a longer one is not asked again.
      max_step_tokens: token limit of a proposed step where the request has none.
      max_solution_tokens: token limit of a completion where the request has none.
      extra_body: fields added to every request, for instance `{"top_k": 20}`.
      key_advice: where a key is to be put, for messages.
      model_option: by what a model is chosen, for messages.
    Raises:
      ConfigError: a value that cannot be used.
    """

    api_key: str | None = field(default=None, repr=False)
    max_concurrency: int = 32
    timeout_s: float = 120.0
    max_retries: int = 5
    backoff_s: float = 0.5
    max_wait_s: float = 60.0
    max_step_tokens: int = 256
    max_solution_tokens: int = 1024
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    key_advice: str = KEY_ADVICE
    model_option: str = "--policy-model"

    def __post_init__(self) -> None:
        if self.api_key is not None:
            key = self.api_key.strip()
            if not key.isascii() or not key.isprintable() or not key:
                raise ConfigError(
                    "the API key is empty, or holds characters that no HTTP header may hold"
                )
            object.__setattr__(self, "api_key", key)
        _at_least("the timeout (--timeout)", self.timeout_s, 0.001)
        _at_least("the concurrency (--concurrency)", self.max_concurrency, 1)
        _at_least("the number of retries (--retries)", self.max_retries, 0)
        _at_least("the token limit of a step (--max-step-tokens)", self.max_step_tokens, 1)
        limit = self.max_solution_tokens
        _at_least("the token limit of a solution (--max-solution-tokens)", limit, 1)
        _check_extra(self.extra_body)

    def result_settings(self) -> dict[str, Any]:
        """Return what can change a result and is not as usual, for the record of a run."""
        usual = ServerOptions()
        names = ("max_step_tokens", "max_solution_tokens", "extra_body")
        return {
            name: getattr(self, name)
            for name in names
            if getattr(self, name) != getattr(usual, name)
        }


def _at_least(what: str, value: float, least: float) -> None:
    if not math.isfinite(value) or value < least:
        raise ConfigError(f"{what} must be at least {least:g} (got {value!r})")


def _check_extra(fields: Mapping[str, Any]) -> None:
    taken = sorted(OWN_FIELDS & set(fields))
    if taken:
        raise ConfigError(
            f"the extra body (--extra-body) must not hold {', '.join(taken)}: stepnav sets that "
            "itself, by the options of the strategy"
        )
    try:
        json.dumps(dict(fields), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"the extra body (--extra-body) is not plain JSON ({error})") from None
