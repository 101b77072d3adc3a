"""HTTP to one OpenAI-compatible server: bounded concurrency, retries, and fields it refuses.

Retried, with exponential backoff and the server's own Retry-After: what cannot be reached, what
takes too long, 408, 409, 425, 429 and 5xx. All else fails at once, for it would fail again. A field
that the server refuses by name is left out from then on (`refused`), as is a larger `max_tokens`
than it allows (`max_tokens_limit`); where a prompt leaves less room in the context, one request's
limit is lowered to that.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stepnav.core.errors import (
    BackendDown,
    BackendError,
    BackendTimeout,
    BadResponse,
    ConfigError,
    quote,
)
from stepnav.core.seeds import derive_seed
from stepnav.policies.openai.protocol import (
    PROVIDER,
    Api,
    Reply,
    error_of,
    is_renamed_limit,
    parse_reply,
    refused_field,
    retry_after_s,
    room_left,
    token_limit,
)

if TYPE_CHECKING:
    import httpx

PATHS = {"completions": "/completions", "chat": "/chat/completions"}


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a server.

    Attributes:
      base_url: up to and with "/v1".
      model: the model's name there; None if the server is to be asked.
      api_key: sent as a bearer token; None sends none.
      max_concurrency: most requests in flight at once.
      timeout_s: wall-clock limit of one HTTP request, from sending to the last byte.
      max_retries: how often one request is sent again.
      backoff_s: first pause; doubles with each retry, times a random factor in [0.5, 1.5].
      max_wait_s: longest pause; a server that asks for a longer one is not asked again.
    """

    base_url: str
    model: str | None
    api_key: str | None = None
    max_concurrency: int = 32
    timeout_s: float = 120.0
    max_retries: int = 5
    backoff_s: float = 0.5
    max_wait_s: float = 60.0

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise ConfigError(
                f"base_url must begin with http:// or https:// (got {self.base_url!r})"
            )
        if self.max_concurrency < 1 or self.max_retries < 0 or not self.timeout_s > 0:
            raise ConfigError(
                "max_concurrency and timeout_s must be positive and max_retries not negative "
                f"(got {self.max_concurrency}, {self.timeout_s} and {self.max_retries})"
            )


class _HttpFailure(Exception):
    """A status other than 200."""

    def __init__(self, status: int, body: str, wait_s: float | None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.wait_s = wait_s


@dataclass(slots=True)
class Client:
    """Sends requests to one server; lives in one event loop.

    Attributes:
      connection: where and how.
      transport: replaces the network, for tests.
      model: the model's name; None leaves it to a server that has one and does not name it.
      refused: fields that the server refused, left out since.
      max_tokens_field: what the server calls the token limit.
      max_tokens_limit: the largest limit it allows, once it has said so.
      requests: HTTP requests sent.
      retries: how many of them repeated a failed one.
    """

    connection: Connection
    transport: httpx.AsyncBaseTransport | None = None
    model: str | None = None
    refused: set[str] = field(default_factory=set)
    max_tokens_field: str = "max_tokens"
    max_tokens_limit: int | None = None
    requests: int = 0
    retries: int = 0
    _http: httpx.AsyncClient | None = None
    _slots: asyncio.Semaphore | None = None

    def __post_init__(self) -> None:
        self.model = self.connection.model

    async def open(self) -> None:
        """Make the connection pool; nothing is sent yet."""
        import httpx

        connection = self.connection
        headers = {"Accept": "application/json"}
        if connection.api_key is not None:
            headers["Authorization"] = f"Bearer {connection.api_key}"
        self._slots = asyncio.Semaphore(connection.max_concurrency)
        self._http = httpx.AsyncClient(
            base_url=connection.base_url,
            headers=headers,
            timeout=httpx.Timeout(None, connect=min(15.0, connection.timeout_s)),
            limits=httpx.Limits(
                max_connections=connection.max_concurrency,
                max_keepalive_connections=connection.max_concurrency,
            ),
            transport=self.transport,
            verify=connection.base_url.startswith("https"),  # loading certificates takes 0.2 s
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.aclose()

    async def generate(self, api: Api, body: dict[str, Any], seed: int) -> Reply:
        """Return the parsed reply to a request, with retries.

        Args:
          api: which endpoint.
          body: the request without `model`.
          seed: derives the jitter of the pauses.
        Raises:
          BackendError: the request failed for good.
        """
        random_pause = random.Random(derive_seed(seed, "backoff"))
        attempt = 0
        while True:
            sent = self._adapted(body)
            try:
                return parse_reply(api, await self._post(PATHS[api], sent))
            except _HttpFailure as failure:
                room = room_left(failure.body)
                if room is not None and room < body.get("max_tokens", 0):
                    body = {**body, "max_tokens": room}
                    continue
                if self._learn(failure, sent):
                    continue
                error = error_of(failure.status, failure.body, self.model)
                wait_s = failure.wait_s
            except BackendError as failure:
                error, wait_s = failure, None
            if not error.retryable or attempt >= self.connection.max_retries:
                raise _after(error, attempt)
            pause_s = self.connection.backoff_s * 2**attempt * random_pause.uniform(0.5, 1.5)
            pause_s = max(min(pause_s, self.connection.max_wait_s), wait_s or 0.0)
            if pause_s > self.connection.max_wait_s:
                raise _after(error, attempt, f"it asks to wait {pause_s:.0f} s")
            await asyncio.sleep(pause_s)
            attempt += 1
            self.retries += 1

    async def choose_model(self) -> None:
        """Take the server's model if it has only one; raises ConfigError if it has several."""
        names = await self.model_names()
        if len(names) > 1:
            raise ConfigError(f"the server has several models; name one of {', '.join(names[:8])}")
        self.model = names[0] if names else None

    async def model_names(self) -> list[str]:
        """Return the models that the server says it has, [] if it does not say."""
        try:
            payload = await self._send("GET", "/models", None)
            return [str(model["id"]) for model in payload["data"]]
        except (_HttpFailure, BackendError, KeyError, TypeError):
            return []

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        assert self._slots is not None, "the client was used before it was opened"
        async with self._slots:
            return await self._send("POST", path, body)

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        import httpx

        assert self._http is not None, "the client was used before it was opened"
        self.requests += 1
        limit_s = self.connection.timeout_s
        try:
            response = await asyncio.wait_for(
                self._http.request(method, path, json=body), timeout=limit_s
            )
        except asyncio.TimeoutError:
            raise BackendTimeout(
                f"the server did not answer within {limit_s:g} s; raise timeout_s or lower "
                "max_concurrency",
                retryable=True,
                provider=PROVIDER,
            ) from None
        except httpx.HTTPError as error:
            raise transport_error(error, self.connection.base_url) from error
        if response.status_code != 200:
            wait_s = retry_after_s(response.headers, time.time())
            raise _HttpFailure(response.status_code, response.text, wait_s)
        try:
            return response.json()
        except ValueError:
            raise BadResponse(
                f"the server's answer is not JSON: {quote(response.text)}",
                provider=PROVIDER,
                status_code=200,
            ) from None

    def _adapted(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body as this server takes it."""
        sent: dict[str, Any] = {} if self.model is None else {"model": self.model}
        sent.update({key: value for key, value in body.items() if key not in self.refused})
        limit = sent.pop("max_tokens", None)
        if limit is not None:
            allowed = limit if self.max_tokens_limit is None else self.max_tokens_limit
            sent[self.max_tokens_field] = min(limit, allowed)
        return sent

    def _learn(self, failure: _HttpFailure, sent: dict[str, Any]) -> bool:
        """Remember what a refusal teaches; True if the request is worth sending again at once."""
        if failure.status not in (400, 422):
            return False
        if self.max_tokens_field == "max_tokens" and is_renamed_limit(failure.body):
            self.max_tokens_field = "max_completion_tokens"
            return True
        limit = token_limit(failure.body)
        if limit is not None and limit < sent.get(self.max_tokens_field, 0):
            self.max_tokens_limit = limit
            return True
        refused = refused_field(failure.body, list(sent))
        if refused is None:
            return False
        self.refused.add(refused)
        return True


def transport_error(error: httpx.HTTPError, base_url: str) -> BackendError:
    """Return our error for one of httpx's, none of which came with a whole HTTP answer."""
    import httpx

    reason = str(error) or type(error).__name__
    if isinstance(error, (httpx.DecodingError, httpx.TooManyRedirects, httpx.HTTPStatusError)):
        return BadResponse(f"cannot use the server's answer ({reason})", provider=PROVIDER)
    if isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.ProxyError)):
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


def _after(error: BackendError, retries: int, why: str | None = None) -> BackendError:
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
