"""What an OpenAI-compatible server says: replies and token counts, as pure functions.

Servers differ in what they add to the protocol; what is read beyond it: `stop_reason` (vLLM) and
`matched_stop` (SGLang), which tell a stop string from the end of the text; and errors inside an
answer with status 200 (OpenRouter), which are failures of the status that they name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stepnav.core.errors import BadResponse, quote
from stepnav.core.records import Told
from stepnav.core.thoughts import as_thinking
from stepnav.remote.body import PROVIDER, as_text, count_of, in_order
from stepnav.remote.connection import HttpFailure

Api = Literal["completions", "chat"]

CHARACTERS_PER_TOKEN = 4
"""Assumed where a server does not count tokens."""

CUT = frozenset({"length", "model_length", "max_tokens", "content_filter"})
"""Reasons of a text that was broken off, and would be again: at a limit (Mistral and Gemini name it
their way), by a filter (OpenAI, Azure)."""

FAILED = frozenset({"error", "abort", "insufficient_system_resource"})
"""Reasons of a text that broke off because the server failed (OpenRouter and Mistral; vLLM and
SGLang; DeepSeek)."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token counts of replies; they add up.

    Attributes:
      prompt: prompt tokens, cached ones included.
      cached: the part of them that the server says came from its cache.
      generated: completion tokens.
    """

    prompt: int = 0
    cached: int = 0
    generated: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.generated + other.generated,
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """One sampled text.

    Attributes:
      text: what was generated.
      finish: "length" if it was broken off (`CUT`), else whatever the server says.
      stopped_at: the stop string that ended it, where the server names one.
      names_stop: whether the server names them at all (then None means the end of the text).
      tokens: (text, log-probability) of each token, if asked for and given.
      ids: of the tokens, if asked for and given.
      listed: at each place, the likeliest tokens with their log-probabilities; empty if not given.
    """

    text: str
    finish: str | None
    stopped_at: str | None = None
    names_stop: bool = False
    tokens: tuple[Told, ...] | None = None
    ids: tuple[int, ...] = ()
    listed: tuple[Mapping[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """One response: its choices, and its token counts if the server gives them."""

    choices: tuple[Choice, ...]
    tokens: Tokens | None


@dataclass(slots=True)
class Spending:
    """What one request has cost so far, whether it succeeds or not.

    Attributes:
      tokens: of the answers that were used.
      failed: of those that were not.
      repeated: samples that were drawn again because they were known.
    """

    tokens: Tokens = field(default_factory=Tokens)
    failed: Tokens = field(default_factory=Tokens)
    repeated: int = 0

    @property
    def whole(self) -> Tokens:
        """Of all answers, used or not."""
        return self.tokens + self.failed


@dataclass(frozen=True, slots=True)
class CostedChoice:
    """One choice with what it cost."""

    choice: Choice
    num_tokens: int


def estimated(body: Mapping[str, Any], reply: Reply) -> Tokens:
    """Return token counts for a server that gives none."""
    prompt = body.get("prompt") or json.dumps(body["messages"])
    generated = sum(len(choice.text) for choice in reply.choices)
    return Tokens(len(prompt) // CHARACTERS_PER_TOKEN, 0, -(-generated // CHARACTERS_PER_TOKEN))


def parse_reply(api: Api, payload: Any) -> Reply:
    """Return what a 200 response holds.

    Raises:
      BadResponse: a field is missing or of another type, or a text broke off.
      HttpFailure: it tells an error instead.
    """
    try:
        _check_error(payload)
        choices = tuple(_parse_choice(api, choice) for choice in in_order(payload["choices"]))
        if not choices:
            raise ValueError("no choices")
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise BadResponse(
            f"the server's answer lacks what a {api} answer must hold "
            f"({type(error).__name__}: {error}): {quote(as_text(payload))}",
            provider=PROVIDER,
            status_code=200,
        ) from None
    return Reply(choices, tokens_of(payload))


def _check_error(part: Any) -> None:
    """Raise the error that an answer, or one choice in it, tells instead of a text.

    Raises:
      HttpFailure: it tells one; its status is 200 where it names none.
    """
    error = part.get("error") if isinstance(part, Mapping) else None
    if error:
        code = count_of(error.get("code")) if isinstance(error, Mapping) else None
        status = code if code is not None and 400 <= code < 600 else 200
        raise HttpFailure(status, as_text({"error": error}), None)


def _parse_choice(api: Api, choice: Mapping[str, Any]) -> Choice:
    _check_error(choice)
    text = choice["text"] if api == "completions" else _shown(choice["message"].get("content"))
    if text is None:
        text = ""  # a refusal, a filter, or a reasoning model that did not get to the visible text
    if not isinstance(text, str):
        raise TypeError(f"the text is {quote(as_text(text))}")
    thought = _thought(choice) if api == "chat" else None
    if thought is not None:
        text = as_thinking(thought, text)
    named = [choice[key] for key in ("stop_reason", "matched_stop") if key in choice]
    stopped_at = next((value for value in named if isinstance(value, str)), None)
    logprobs = choice.get("logprobs")
    return Choice(
        text,
        _parse_finish(choice.get("finish_reason")),
        stopped_at,
        bool(named),
        _parse_logprobs(logprobs),
        _parse_ids(choice.get("token_ids")),
        _parse_lists(logprobs),
    )


def _parse_finish(finish: Any) -> str | None:
    """Return why a text ended, "length" for each of `CUT`.

    Raises:
      BadResponse: the server failed in the middle of it; another try may not.
    """
    if finish is None:
        return None
    if not isinstance(finish, str):
        raise TypeError(f"finish_reason is {quote(as_text(finish))}")
    if finish.lower() in FAILED:
        raise BadResponse(
            f"the server broke its answer off (finish_reason {quote(finish)})",
            retryable=True,
            provider=PROVIDER,
            status_code=200,
        )
    return "length" if finish.lower() in CUT else finish


def _shown(content: Any) -> Any:
    """Return the content of a message; of a list of parts (Mistral) the text."""
    if not isinstance(content, list):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _thought(choice: Mapping[str, Any]) -> str | None:
    """Return what a server tells apart as thought; servers differ in the field's name."""
    found = (choice["message"].get(name) for name in ("reasoning", "reasoning_content"))
    return next((text for text in found if isinstance(text, str) and text.strip()), None)


def _parse_logprobs(logprobs: Any) -> tuple[Told, ...] | None:
    """Return the tokens with their log-probabilities, None if not all of them are known."""
    if not isinstance(logprobs, Mapping):
        return None
    try:
        if isinstance(logprobs.get("content"), Sequence):
            pairs = [(item["token"], item["logprob"]) for item in logprobs["content"]]
        elif logprobs.get("tokens") and logprobs.get("token_logprobs"):
            pairs = list(zip(logprobs["tokens"], logprobs["token_logprobs"]))
        else:
            return None
        known = tuple((str(token), float(value)) for token, value in pairs)
    except (LookupError, TypeError, ValueError, ArithmeticError):
        return None
    return known if all(-math.inf < value < 1 for _, value in known) else None


def _parse_ids(ids: Any) -> tuple[int, ...]:
    """Return the tokens' ids, none if anything else stands there."""
    is_known = isinstance(ids, Sequence) and all(isinstance(token, int) for token in ids)
    return tuple(ids) if is_known else ()


def _parse_lists(logprobs: Any) -> tuple[Mapping[str, float], ...]:
    """Return the likeliest tokens at each place, none if not all are known."""
    try:
        if "content" in logprobs:
            places = [item["top_logprobs"] for item in logprobs["content"]]
            lists = [{item["token"]: item["logprob"] for item in place} for place in places]
        else:
            lists = [dict(place) for place in logprobs["top_logprobs"]]
        is_known = all(-math.inf < value < 1 for place in lists for value in place.values())
    except (LookupError, TypeError, ValueError):
        return ()
    return tuple(lists) if is_known else ()


def tokens_of(payload: Any) -> Tokens | None:
    """Return what the server counted for an answer, of whatever kind; None if it does not tell."""
    usage = payload.get("usage") if isinstance(payload, Mapping) else None
    if not isinstance(usage, Mapping):
        return None
    details = usage.get("prompt_tokens_details")
    cached = count_of(details.get("cached_tokens")) if isinstance(details, Mapping) else 0
    prompt, generated = (
        count_of(usage.get("prompt_tokens")),
        count_of(usage.get("completion_tokens")),
    )
    if prompt is None or generated is None:
        return None
    return Tokens(prompt, min(cached or 0, prompt), generated)
