"""What is sent for one sample, as a server takes it, and what to do with its reply."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.core.records import Trajectory
from stepnav.core.requests import Ask, Message, PolicyRequest, Propose
from stepnav.core.seeds import derive_seed
from stepnav.policies.openai.capabilities import Capabilities, Continuation
from stepnav.policies.openai.protocol import Api
from stepnav.policies.remainder import is_told
from stepnav.policies.splitting import ANSWER_PATTERN, check_pattern, fill

ASK_STEP = (
    "{question}\n\nThis is the solution so far:\n\n{prefix}\n\n"
    "Go on from there. Do not repeat what is written; write the next steps only."
)

_PLAIN = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""Draw by the temperature alone, whatever the model's own settings of generation are."""

FIELDS: dict[Api, dict[str, Any]] = {
    "completions": {"logprobs": 20, "return_token_ids": True, **_PLAIN},
    "chat": {"logprobs": True, "top_logprobs": 20, "return_token_ids": True, **_PLAIN},
}
"""What makes vLLM name the ids of what it drew, and the likeliest tokens at each place."""


@dataclass(frozen=True, slots=True)
class PromptOptions:
    r"""How problems are shown and where steps and solutions end.

    Attributes:
      separator: text that ends a step.
      prompt_template: how the question is shown; holds "{question}".
      chat_template: how a chat model is shown it; None uses `prompt_template`.
      system_prompt: first message of a chat; None for none.
      end_strings: text after which a completion model has gone past its solution (as
        "\n\nQuestion:"); it is cut there, and the strings are not part of the solution.
      answer_pattern: regular expression; a step in which it is found is the last. None leaves the
        end to the server.
    """

    separator: str = "\n"
    prompt_template: str = "{question}\n"
    chat_template: str | None = None
    system_prompt: str | None = None
    end_strings: tuple[str, ...] = ()
    answer_pattern: str | None = ANSWER_PATTERN

    def __post_init__(self) -> None:
        if not self.separator:
            raise ConfigError("the step separator must not be empty")
        check_pattern(self.answer_pattern)
        for name, template in (
            ("prompt_template", self.prompt_template),
            ("chat_template", self.chat_template or "{question}"),
        ):
            if "{question}" not in template:
                raise ConfigError(f"{name} must hold {{question}} (got {template!r})")

    def holds_answer(self, text: str) -> bool:
        """Return whether a text holds the final answer, so that its step is the last."""
        return self.answer_pattern is not None and bool(re.search(self.answer_pattern, text))

    def shown(self, question: str, api: Api) -> str:
        """Return the question as the policy sees it."""
        if api == "completions":
            return fill(self.prompt_template, question)
        template = self.chat_template or self.prompt_template
        return template.replace("{question}", question).strip()


def prompt_fields(
    options: PromptOptions, found: Capabilities, prefix: Trajectory, written: str
) -> dict[str, Any]:
    """Return the fields of a request to go on from `prefix` and the text `written` after it."""
    problem = prefix.problem
    question = options.shown(problem.question, found.api)
    text = prefix.text + written
    if found.api == "completions":
        return {"prompt": question + text}
    if not text.strip():
        return {"messages": chat(options.system_prompt, question, problem.context)}
    if found.continues == "no":
        ask = ASK_STEP.replace("{question}", question).replace("{prefix}", text.strip())
        return {"messages": chat(options.system_prompt, ask, problem.context)}
    messages = chat(options.system_prompt, question, problem.context)
    return continuation(messages, text, found.continues)


def conversation_fields(messages: Sequence[Message], api: Api) -> dict[str, Any]:
    """Return the fields of a request to answer a conversation."""
    if api == "chat":
        return {"messages": [{"role": m.role, "content": m.content} for m in messages]}
    return {"prompt": "".join(f"{message.content}\n\n" for message in messages)}


def chat(
    system_prompt: str | None, question: str, context: Sequence[Message] = ()
) -> list[dict[str, Any]]:
    """Return the messages that ask a question after the turns of its context."""
    turns = [*context, Message("user", question)]
    if system_prompt is not None:
        turns.insert(0, Message("system", system_prompt))
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def continuation(
    messages: list[dict[str, Any]], text: str, continues: Continuation
) -> dict[str, Any]:
    """Return the fields that ask a chat server to continue an assistant message."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if continues == "prefix":
        message["prefix"] = True
    fields: dict[str, Any] = {"messages": [*messages, message]}
    if continues == "continue_final_message":
        fields.update(continue_final_message=True, add_generation_prompt=False)
    return fields


def generation_config(temperature: float, top_p: float, limit: int) -> str:
    """Return the field by which `transformers serve` samples whatever the model's own settings."""
    return json.dumps(
        {
            "do_sample": True,
            "temperature": temperature,
            "top_p": top_p,
            "top_k": 0,
            "max_new_tokens": limit,
        }
    )


def is_stop_usable(found: Capabilities, prefix: Trajectory) -> bool:
    """Return whether the separator may be sent as a stop string.

    Not where the reply may begin with what ends the prefix, for it would stop before the step.
    """
    if found.stop == "ignored":
        return False
    return found.api == "completions" or not prefix.text or is_exact(found)


def without_repeats(
    options: PromptOptions, found: Capabilities, prefix: Trajectory, text: str
) -> str:
    """Return a reply without the steps of the prefix that it repeats."""
    if found.api == "completions" or found.continues != "no" or not prefix.steps:
        return text
    rest = text
    for step in prefix.steps:
        known = step.text.strip()
        if not rest.lstrip().startswith(known):
            return text
        rest = rest.lstrip()[len(known) :]
    return rest.removeprefix(options.separator)


def is_exact(found: Capabilities) -> bool:
    """Return whether any prefix is continued as it stands."""
    return found.continues != "no" and not found.trims_prefix


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
