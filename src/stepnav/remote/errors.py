"""The error of ours that a server's status, or a failure on the way to it, means."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from stepnav.core.errors import (
    BackendDown,
    BackendError,
    BackendTimeout,
    BadResponse,
    RateLimited,
    quote,
)  # fmt: skip
from stepnav.remote.body import PROVIDER, as_text, load_json
from stepnav.remote.options import KEY_ADVICE

if TYPE_CHECKING:
    import httpx

RETRYABLE_STATUS = frozenset({408, 409, 425, 429})


def error_message(body: str) -> str:
    """Return the message inside an error body, or the body itself."""
    payload = payload_of(body)
    for key in ("error", "detail", "message"):
        value = payload.get(key)
        if isinstance(value, dict):
            value = value.get("message", value)
        if value:
            return value if isinstance(value, str) else as_text(value)
    return body.strip()


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
    except (ValueError, TypeError, ArithmeticError, OSError):
        return None


def payload_of(body: str) -> Mapping[str, Any]:
    """Return the object that a body holds, an empty one if it holds none."""
    try:
        payload = load_json(body)
    except ValueError:
        return {}
    return payload if isinstance(payload, dict) else {}


def error_of(
    status: int,
    body: str,
    model: str | None,
    *,
    has_key: bool = True,
    key_advice: str = KEY_ADVICE,
) -> BackendError:
    """Return the error that an HTTP status other than 200 means."""
    said = quote(error_message(body)) if body.strip() else "(empty answer)"
    if status in (401, 403):
        wrong = "refused the API key" if has_key else "wants an API key, and none was sent"
        text = f"the server {wrong} (HTTP {status}): {said}; {key_advice}"
        return BackendDown(text, provider=PROVIDER, status_code=status)
    if status == 404:
        text = f"the server has no model {model!r} or no such endpoint (HTTP 404): {said}"
        return BackendDown(text, provider=PROVIDER, status_code=status)
    if status == 402 or (status == 429 and "insufficient_quota" in body):
        text = f"the account's quota is spent (HTTP {status}): {said}"
        return BackendDown(text, provider=PROVIDER, status_code=status)
    if status == 429:
        text = f"the server asks for fewer requests (HTTP 429): {said}; lower --concurrency"
        return RateLimited(text, retryable=True, provider=PROVIDER, status_code=status)
    if status in (502, 503, 504):
        text = f"the server is not available (HTTP {status}): {said}"
        return BackendDown(text, retryable=True, provider=PROVIDER, status_code=status)
    retryable = status in RETRYABLE_STATUS or (status >= 500 and status not in (501, 505))
    kind = BackendError if retryable else BadResponse
    text = f"the server answered HTTP {status}: {said}"
    return kind(text, retryable=retryable, provider=PROVIDER, status_code=status)


def transport_error(
    error: httpx.HTTPError | httpx.InvalidURL | UnicodeError, base_url: str
) -> BackendError:
    """Return our error for one of httpx's, none of which came with a whole HTTP answer."""
    import httpx

    reason = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, (httpx.DecodingError, httpx.TooManyRedirects, httpx.HTTPStatusError)):
        return BadResponse(f"cannot use the server's answer ({reason})", provider=PROVIDER)
    unsendable = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.ProxyError)
    if isinstance(error, (*unsendable, httpx.InvalidURL, UnicodeError)):
        return BackendDown(f"cannot send to {base_url} ({reason})", provider=PROVIDER)
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return BackendTimeout(
            f"the server is too slow ({reason})", retryable=True, provider=PROVIDER
        )
    return BackendDown(
        f"cannot reach {base_url} ({reason}); is the server running there?",
        retryable=True,
        provider=PROVIDER,
    )


def after_retries(error: BackendError, retries: int, why: str | None = None) -> BackendError:
    """Return the error with what was tried in its text."""
    notes = [note for note in (f"tried {retries + 1} times" if retries else None, why) if note]
    if not notes:
        return error
    noted = type(error)(
        f"{error} ({'; '.join(notes)})",
        retryable=error.retryable,
        provider=error.provider,
        status_code=error.status_code,
        failed_tokens=error.failed_tokens,
    )
    noted.wait_s = error.wait_s
    return noted
