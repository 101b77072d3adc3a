"""What an OpenAI-compatible server says: replies, token counts and refusals, as pure functions.

Servers differ in what they add to the protocol; what is read beyond it: `stop_reason` (vLLM) and
`matched_stop` (SGLang), which tell a stop string from the end of the text, and the many ways in
which a refused field is named.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from stepnav.core.errors import BackendDown, BackendError, BadResponse, RateLimited, quote

Api = Literal["completions", "chat"]

PROVIDER = "openai"
RETRYABLE_STATUS = frozenset({408, 409, 425, 429})
DROPPABLE = (
    "generation_config",
    "include_stop_str_in_output",
    "no_stop_trim",
    "logprobs",
    "n",
    "seed",
    "stop",
    "temperature",
    "top_p",
)
"""Fields without which a request still makes sense; a server's refusal of one is remembered."""


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
      finish: "length" if cut at the token limit, else whatever the server says.
      stopped_at: the stop string that ended it, where the server names one.
      names_stop: whether the server names them at all (then None means the end of the text).
      tokens: (text, log-probability) of each token, if asked for and given.
    """

    text: str
    finish: str | None
    stopped_at: str | None = None
    names_stop: bool = False
    tokens: tuple[tuple[str, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One response: its choices, and its token counts if the server gives them."""

    choices: tuple[Choice, ...]
    tokens: Tokens | None


def parse_reply(api: Api, payload: Any) -> Reply:
    """Return what a 200 response holds.

    Raises:
      BadResponse: a field is missing or of another type; carries the tokens that were lost.
    """
    tokens = _parse_usage(payload)
    try:
        choices = tuple(_parse_choice(api, choice) for choice in payload["choices"])
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise BadResponse(
            f"the server's answer lacks what a {api} answer must hold "
            f"({type(error).__name__}: {error}): {quote(_as_text(payload))}",
            provider=PROVIDER,
            status_code=200,
            failed_tokens=0 if tokens is None else tokens.generated,
        ) from None
    if not choices:
        raise BadResponse(
            f"the server's answer holds no choices: {quote(_as_text(payload))}",
            provider=PROVIDER,
            status_code=200,
            failed_tokens=0 if tokens is None else tokens.generated,
        )
    return Reply(choices, tokens)


def _parse_choice(api: Api, choice: Mapping[str, Any]) -> Choice:
    finish = choice.get("finish_reason")
    if finish is not None and not isinstance(finish, str):
        raise TypeError(f"finish_reason is {finish!r}")
    text = choice["text"] if api == "completions" else choice["message"].get("content")
    if text is None and finish == "length":
        text = ""  # a reasoning model that spent its tokens before the visible text
    if not isinstance(text, str):
        raise TypeError(f"the text is {text!r}, finish_reason {finish!r}")
    named = [choice[key] for key in ("stop_reason", "matched_stop") if key in choice]
    stopped_at = next((value for value in named if isinstance(value, str)), None)
    text = _whole_characters(text)
    return Choice(text, finish, stopped_at, bool(named), _parse_logprobs(choice.get("logprobs")))


def _whole_characters(text: str) -> str:
    """Return a text without halves of surrogate pairs, which a cut text may end in and nothing can encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _parse_logprobs(logprobs: Any) -> tuple[tuple[str, float], ...] | None:
    if not isinstance(logprobs, Mapping):
        return None
    if isinstance(logprobs.get("content"), Sequence):
        pairs = [(item["token"], item["logprob"]) for item in logprobs["content"]]
    elif logprobs.get("tokens") and logprobs.get("token_logprobs"):
        pairs = list(zip(logprobs["tokens"], logprobs["token_logprobs"]))
    else:
        return None
    return tuple((str(token), float(value)) for token, value in pairs)


def _parse_usage(payload: Any) -> Tokens | None:
    usage = payload.get("usage") if isinstance(payload, Mapping) else None
    if not isinstance(usage, Mapping):
        return None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    counts = (usage.get("prompt_tokens"), cached or 0, usage.get("completion_tokens"))
    known = [count for count in counts if isinstance(count, int) and count >= 0]
    return Tokens(*known) if len(known) == len(counts) else None


def error_of(status: int, body: str, model: str | None) -> BackendError:
    """Return the error that an HTTP status other than 200 means."""
    said = quote(error_message(body)) if body.strip() else "(empty answer)"
    if status in (401, 403):
        text = f"the server refused the API key (HTTP {status}): {said}; check api_key"
        return BackendDown(text, provider=PROVIDER, status_code=status)
    if status == 404:
        text = f"the server has no model {model!r} or no such endpoint (HTTP 404): {said}"
        return BackendDown(text, provider=PROVIDER, status_code=status)
    if status == 402 or (status == 429 and "insufficient_quota" in body):
        text = f"the account's quota is spent (HTTP {status}): {said}"
        return BackendDown(text, provider=PROVIDER, status_code=status)
    if status == 429:
        text = f"the server asks for fewer requests (HTTP 429): {said}; lower max_concurrency"
        return RateLimited(text, retryable=True, provider=PROVIDER, status_code=status)
    if status in (502, 503, 504):
        text = f"the server is not available (HTTP {status}): {said}"
        return BackendDown(text, retryable=True, provider=PROVIDER, status_code=status)
    retryable = status in RETRYABLE_STATUS or (status >= 500 and status not in (501, 505))
    kind = BackendError if retryable else BadResponse
    text = f"the server answered HTTP {status}: {said}"
    return kind(text, retryable=retryable, provider=PROVIDER, status_code=status)


def error_message(body: str) -> str:
    """Return the message inside an error body, or the body itself."""
    try:
        payload = json.loads(body)
    except ValueError:
        return body.strip()
    for key in ("error", "detail", "message"):
        value = payload.get(key) if isinstance(payload, dict) else None
        if isinstance(value, dict):
            value = value.get("message", value)
        if value:
            return value if isinstance(value, str) else _as_text(value)
    return body.strip()


def refused_field(body: str, sent: Sequence[str]) -> str | None:
    """Return which of the sent fields a 400 or 422 answer complains of, None if none is named."""
    candidates = [field for field in DROPPABLE if field in sent]
    try:
        payload = json.loads(body)
    except ValueError:
        payload = {}
    for named in _named_fields(payload):
        if named in candidates:
            return named
    message = error_message(body)
    for field in candidates:
        is_quoted = re.search(rf"""(['"`]){field}\1""", message)
        is_word = len(field) > 3 and field != "stop" and re.search(rf"\b{field}\b", message)
        if is_quoted or is_word or re.search(rf"\bsupplied: {field}\b", message):
            return field
    return None


def _named_fields(payload: Any) -> list[str]:
    """Return field names in OpenAI's `error.param` and in pydantic's `detail[].loc`."""
    if not isinstance(payload, dict):
        return []
    names: list[str] = []
    error = payload.get("error")
    if isinstance(error, dict) and isinstance(error.get("param"), str):
        names.append(error["param"])
    detail = payload.get("detail")
    for item in detail if isinstance(detail, list) else []:
        location = item.get("loc") if isinstance(item, dict) else None
        names += [part for part in location or [] if isinstance(part, str)]
    return names


def is_renamed_limit(body: str) -> bool:
    """Return whether an error says to send `max_completion_tokens` instead of `max_tokens`."""
    return bool(re.search(r"\buse\s+\W?max_completion_tokens", error_message(body), re.IGNORECASE))


def token_limit(body: str) -> int | None:
    """Return the largest `max_tokens` that an error message says is allowed, if it says so."""
    message = error_message(body)
    if not re.search(r"max_(?:completion_|new_)?tokens", message) or "context" in message:
        return None
    match = re.search(
        r"(?:at most|less than or equal to|maximum(?: allowed)?(?: value)?[^0-9]{0,40}?|<=|up to)\s*`?(\d+)",
        message,
    )
    return int(match[1]) if match and int(match[1]) > 0 else None


def room_left(body: str) -> int | None:
    """Return the tokens that fit between prompt and context length, if an error tells both."""
    message = error_message(body)
    context = re.search(r"maximum context length is (\d+)", message)
    prompt = re.search(r"(\d+) input tokens|(\d+) in the (?:messages|prompt)", message)
    if context is None or prompt is None:
        return None
    room = int(context[1]) - int(prompt[1] or prompt[2])
    return room if room > 0 else None


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return how long the server asks to wait, as seconds or as a date; None if it does not."""
    if "retry-after-ms" in headers:
        try:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        except ValueError:
            pass
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError):
        return None


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
