"""HTTP to one model server: bounded concurrency, retries, and which models it has.

Retried, with exponential backoff and the server's own Retry-After: what cannot be reached, what
takes too long, 408, 409, 425, 429 and 5xx. All else fails at once, for it would fail again.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from stepnav.core.errors import (
    BackendDown,
    BackendError,
    BackendTimeout,
    BadResponse,
    ConfigError,
    quote,
)  # fmt: skip
from stepnav.core.seeds import derive_seed
from stepnav.remote.body import PROVIDER, load_json, parse_models, read_body
from stepnav.remote.errors import after_retries, error_of, retry_after_s, transport_error
from stepnav.remote.options import ServerOptions
from stepnav.remote.proxy import proxy_for

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

CONNECT_LIMIT_S = 6.0
"""How long a server may take to tell its models: it has nothing to compute for that."""


class HttpFailure(Exception):
    """A status other than 200, or an error that an answer tells.

    Args:
      status: it.
      body: the beginning of what came with it.
      wait_s: how long the server asks to wait, None if it does not.
    """

    def __init__(self, status: int, body: str, wait_s: float | None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.wait_s = wait_s


@dataclass(slots=True)
class Connection:
    """Sends requests to one server; lives in one event loop.

    Attributes:
      base_url: up to and with "/v1".
      model: the model's name there; None leaves it to a server that has one and does not name it.
      options: key, limits, extra fields.
      transport: replaces the network, for tests.
      models: what the server lists, with the size of each context where it is told.
      requests: HTTP requests sent.
      retries: how many of them repeated a failed one.
    """

    base_url: str
    model: str | None
    options: ServerOptions
    transport: httpx.AsyncBaseTransport | None = None
    models: dict[str, int | None] = field(default_factory=dict)
    requests: int = 0
    retries: int = 0
    _http: httpx.AsyncClient | None = None
    _slots: asyncio.Semaphore | None = None

    async def open(self) -> None:
        """Make the connection pool; nothing is sent yet.

        Raises:
          ConfigError: the environment names a proxy that cannot be used.
        """
        import httpx

        options = self.options
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if options.api_key is not None:
            headers["Authorization"] = f"Bearer {options.api_key}"
        self._slots = asyncio.Semaphore(options.max_concurrency)
        try:
            self._http = httpx.AsyncClient(
                base_url=self.base_url,
                headers=headers,
                timeout=httpx.Timeout(None, connect=min(CONNECT_LIMIT_S, options.timeout_s)),
                limits=httpx.Limits(
                    max_connections=options.max_concurrency,
                    max_keepalive_connections=options.max_concurrency,
                ),
                transport=self.transport,
                trust_env=False,  # its rule for proxies is another one
                proxy=proxy_for(self.base_url) if self.transport is None else None,
                # loading certificates takes 0.2 s
                verify=self.base_url.startswith("https") and httpx.create_ssl_context(),
            )
        except (httpx.InvalidURL, ImportError, ValueError) as error:
            raise ConfigError(
                f"cannot make a connection to {self.base_url} ({error}); check the address, and "
                "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY if they are set"
            ) from None

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.aclose()

    async def meet(self) -> None:
        """Ask the server for its models; take the only one if none was named.

        Raises:
          BackendDown: it cannot be reached, does not answer, or wants another key.
          ConfigError: it has several models, and none was named.
        """
        limit_s = min(CONNECT_LIMIT_S, self.options.timeout_s)
        try:
            self.models = parse_models(await self.send("GET", "/models", None, limit_s))
        except BackendTimeout:
            raise BackendDown(
                f"{self.base_url} did not answer GET /models within {limit_s:g} s; is it the "
                "address of a model server, and is that up?",
                provider=PROVIDER,
            ) from None
        except HttpFailure as failure:
            if failure.status == 401:
                raise self.error_of(failure) from None
        except BadResponse:  # no such list, or none that can be read
            pass
        if self.model is None and len(self.models) > 1:
            names = ", ".join(list(self.models)[:8])
            raise ConfigError(
                f"the server has several models; name one of {names} by {self.options.model_option}"
            )
        if self.model is None:
            self.model = next(iter(self.models), None)

    async def retried(self, once: Callable[[], Awaitable[T]], seed: int) -> T:
        """Return what a call gives that is made again while its failure may pass.

        Args:
          once: makes it; raises `HttpFailure` or `BackendError`.
          seed: derives the jitter of the pauses.
        Raises:
          BackendError: it failed for good.
        """
        random_pause = random.Random(derive_seed(seed, "backoff"))
        attempt = 0
        while True:
            try:
                return await once()
            except HttpFailure as failure:
                error, wait_s = self.error_of(failure), failure.wait_s
            except BackendError as failure:
                error, wait_s = failure, None
            if attempt >= self._max_retries(error):
                raise after_retries(error, attempt)
            pause_s = self.options.backoff_s * 2**attempt * random_pause.uniform(0.5, 1.5)
            pause_s = max(min(pause_s, self.options.max_wait_s), wait_s or 0.0)
            if pause_s > self.options.max_wait_s:
                raise after_retries(error, attempt, f"it asks to wait {pause_s:.0f} s")
            await asyncio.sleep(pause_s)
            attempt += 1
            self.retries += 1

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the JSON that a server answers, as soon as one of its slots is free.

        Args:
          path: behind `base_url`, or a whole URL.
          body: sent as JSON.
        Raises:
          HttpFailure: a status other than 200.
          BackendError: no answer, or one that is no JSON.
        """
        assert self._slots is not None, "the connection was used before it was opened"
        async with self._slots:
            return await self.send("POST", path, body, self.options.timeout_s)

    async def send(
        self, method: str, path: str, body: dict[str, Any] | None, limit_s: float
    ) -> Any:
        """Return the JSON that a server answers; arguments and errors as in `post`."""
        import httpx

        self.requests += 1
        try:
            text = await asyncio.wait_for(self._exchange(method, path, body), timeout=limit_s)
        except TimeoutError:
            raise BackendTimeout(
                f"the server did not answer within {limit_s:g} s; raise --timeout or lower "
                "--concurrency",
                retryable=True,
                provider=PROVIDER,
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise transport_error(error, self.base_url) from error
        try:
            return load_json(text)
        except ValueError as error:
            raise BadResponse(
                f"the server's answer is not usable JSON ({quote(str(error))}): {quote(text)}",
                provider=PROVIDER,
                status_code=200,
            ) from None

    async def _exchange(self, method: str, path: str, body: dict[str, Any] | None) -> str:
        """Return the text of an answer with status 200."""
        assert self._http is not None, "the connection was used before it was opened"
        content = None if body is None else json.dumps(body).encode()
        headers = None if body is None else {"Content-Type": "application/json"}
        async with self._http.stream(method, path, content=content, headers=headers) as response:
            text = await read_body(response, self.options.api_key)
            if response.status_code != 200:
                wait_s = retry_after_s(response.headers, time.time())
                raise HttpFailure(response.status_code, text, wait_s)
            return text

    def error_of(self, failure: HttpFailure) -> BackendError:
        """Return our error for a status other than 200."""
        has_key = self.options.api_key is not None
        error = error_of(
            failure.status,
            failure.body,
            self.model,
            has_key=has_key,
            key_advice=self.options.key_advice,
        )
        error.wait_s = failure.wait_s
        return error

    def _max_retries(self, error: BackendError) -> int:
        return self.options.max_retries if error.retryable else 0


def with_version(base_url: str) -> str:
    """Return the URL without a slash at its end, and with "/v1" if it has no path.

    Raises:
      ConfigError: it is no URL of a server, or holds what a run must not write down.
    """
    url = base_url.rstrip("/")
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError("it must begin with http:// or https://")
        if parts.port == 0 or not parts.hostname:
            raise ValueError("it names no host" if not parts.hostname else "port 0 is none")
        if not url.isprintable() or " " in url:
            raise ValueError("it holds blanks or characters that cannot be printed")
        if parts.query or parts.fragment:
            raise ValueError("it must end with its path; put fields into --extra-body")
    except ValueError as error:
        raise ConfigError(
            f"{base_url!r} is no server's URL ({error}); give one such as http://localhost:8000/v1"
        ) from None
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "the server's URL must hold no user and password, for it is written into the run "
            "folder; give an API key by an environment variable"
        )
    return f"{url}/v1" if parts.path == "" else url
