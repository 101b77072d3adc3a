"""What is sent for one sample, as this server takes it."""

from __future__ import annotations

from typing import Any

from stepnav.core.requests import Ask, PolicyRequest, Propose
from stepnav.core.seeds import derive_seed
from stepnav.policies.openai.capabilities import Capabilities
from stepnav.policies.openai.prompts import (
    PromptOptions,
    conversation_fields,
    generation_config,
    is_exact,
    is_stop_usable,
    prompt_fields,
)
from stepnav.policies.openai.protocol import Api
from stepnav.policies.remainder import is_told

_PLAIN = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""Draw by the temperature alone, whatever the model's own settings of generation are."""

FIELDS: dict[Api, dict[str, Any]] = {
    "completions": {"logprobs": 20, "return_token_ids": True, **_PLAIN},
    "chat": {"logprobs": True, "top_logprobs": 20, "return_token_ids": True, **_PLAIN},
}
"""What makes vLLM name the ids of what it drew, and the likeliest tokens at each place."""


def request_body(
    options: PromptOptions,
    found: Capabilities,
    request: PolicyRequest,
    written: str,
    limit: int,
    index: int,
    blank_round: int = 0,
) -> dict[str, Any]:
    """Return the request body of one sample; its seed depends on nothing else that is drawn.

    Args:
      options: how steps and answers look.
      found: what the server honours.
      request: what is drawn for.
      written: what is written of the step already.
      limit: most tokens.
      index: of the sample.
      blank_round: how often the sample was continued.
    """
    sampling = request.sampling
    if isinstance(request, Ask):
        body = conversation_fields(request.messages, found.api)
    else:
        body = prompt_fields(options, found, request.prefix, written)
    temperature = sampling.temperature
    body.update(max_tokens=limit, top_p=sampling.top_p)
    body["temperature"] = max(temperature, found.lowest_temperature)
    stop = [] if isinstance(request, Ask) else list(options.end_strings)
    if isinstance(request, Propose) and is_stop_usable(found, request.prefix):
        stop.insert(0, options.separator)
        if found.keep_stop_field is not None:
            body[found.keep_stop_field] = True
    if stop and found.stop != "ignored":
        body["stop"] = stop
    if found.seed != "ignored" and request.seed is not None:
        index += request.first
        parts = (index,) if blank_round == 0 else (index, blank_round)
        body["seed"] = server_seed(request.seed, *parts)
    if found.temperature == "generation_config" and temperature > 0:
        body["generation_config"] = generation_config(temperature, sampling.top_p, limit)
    if isinstance(request, Propose) and excludes(found, request):
        body.update(FIELDS[found.api])
    return body


def excludes(found: Capabilities, request: Propose) -> bool:
    """Return whether what is left can be drawn exactly.

    `top_p` would cut it once more, above temperature 1 unlikely tokens matter that are not listed,
    and what lies beyond a step is no part of it.
    """
    is_able = found.excludes and is_exact(found) and is_stop_usable(found, request.prefix)
    return is_able and is_told(request.sampling)


def is_greedy(request: PolicyRequest) -> bool:
    """Return whether only the most probable tokens are asked for."""
    return request.sampling.temperature == 0


def server_seed(seed: int, *parts: int) -> int:
    """Return the seed of one sample as 31 bits, which every server's integer type holds."""
    return derive_seed(seed, *parts) >> 32
