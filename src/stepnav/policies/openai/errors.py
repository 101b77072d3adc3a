"""The error of ours that a server's status, or a failure on the way to it, means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepnav.core.errors import (
    BackendDown,
    BackendError,
    BackendTimeout,
    BadResponse,
    RateLimited,
    quote,
)  # fmt: skip
from stepnav.policies.openai.protocol import PROVIDER
from stepnav.policies.openai.refusals import error_message

if TYPE_CHECKING:
    import httpx

RETRYABLE_STATUS = frozenset({408, 409, 425, 429})


def error_of(status: int, body: str, model: str | None, *, has_key: bool = True) -> BackendError:
    """Return the error that an HTTP status other than 200 means."""
    said = quote(error_message(body)) if body.strip() else "(empty answer)"
    if status in (401, 403):
        wrong = "refused the API key" if has_key else "wants an API key, and none was sent"
        text = (
            f"the server {wrong} (HTTP {status}): {said}; set OPENAI_API_KEY, or name another "
            "variable that holds it with --api-key-env"
        )
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
    return type(error)(
        f"{error} ({'; '.join(notes)})",
        retryable=error.retryable,
        provider=error.provider,
        status_code=error.status_code,
        failed_tokens=error.failed_tokens,
    )
