"""HTTP to one OpenAI-compatible server: bounded concurrency, retries, and what it refuses.

Retried, with exponential backoff and the server's own Retry-After: what cannot be reached, what
takes too long, 408, 409, 425, 429 and 5xx. All else fails at once, for it would fail again. A token
limit that the server refuses is lowered: for good where it names its own (`max_tokens_limit`), for
one request where that does not fit into the context. A field that it refuses by name is left out
from then on (`refused`), but only while it is probed: a run must not change on its way.
"""

from __future__ import annotations

import asyncio
import json
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
    RateLimited,
    quote,
)  # fmt: skip
from stepnav.core.seeds import derive_seed
from stepnav.policies.openai.body import load_json, read_body
from stepnav.policies.openai.errors import after_retries, error_of, transport_error
from stepnav.policies.openai.options import ServerOptions
from stepnav.policies.openai.protocol import PROVIDER, Api, Reply, parse_models, parse_reply
from stepnav.policies.openai.refusals import (
    context_refusal,
    is_renamed_limit,
    refused_field,
    retry_after_s,
    shown_text,
    token_limit,
)  # fmt: skip

if TYPE_CHECKING:
    import httpx

PATHS = {"completions": "/completions", "chat": "/chat/completions"}
CONNECT_LIMIT_S = 6.0
"""How long a server may take to tell its models: it has nothing to compute for that."""

PROBE_RETRIES = 2
"""How often a probe is sent again: whoever starts a run wants to know soon what is wrong."""

MAX_MENDS = 16
"""How often one request is sent again in another form."""

CHARACTERS_PER_TOKEN = 2
"""Of a prompt, at least; what is asked for beside it is refused if the guess is too bold."""


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
      base_url: up to and with "/v1".
      model: the model's name there; None leaves it to a server that has one and does not name it.
      options: key, limits, extra fields.
      transport: replaces the network, for tests.
      models: what the server lists, with the size of each context where it is told.
      is_probing: whether fields that are refused are left out from then on.
      refused: those fields.
      max_tokens_field: what the server calls the token limit.
      max_tokens_limit: the largest limit it allows, once it has said so.
      context_tokens: what prompt and answer may hold together, once it is known.
      requests: HTTP requests sent.
      retries: how many of them repeated a failed one.
    """

    base_url: str
    model: str | None
    options: ServerOptions
    transport: httpx.AsyncBaseTransport | None = None
    models: dict[str, int | None] = field(default_factory=dict)
    is_probing: bool = False
    refused: set[str] = field(default_factory=set)
    max_tokens_field: str = "max_tokens"
    max_tokens_limit: int | None = None
    context_tokens: int | None = None
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
                verify=self.base_url.startswith("https"),  # loading certificates takes 0.2 s
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
            self.models = parse_models(await self._send("GET", "/models", None, limit_s))
        except BackendTimeout:
            raise BackendDown(
                f"{self.base_url} did not answer GET /models within {limit_s:g} s; is it the "
                "address of a model server, and is that up?",
                provider=PROVIDER,
            ) from None
        except _HttpFailure as failure:
            if failure.status == 401:
                raise self._error_of(failure) from None
        except BadResponse:  # no such list, or none that can be read
            pass
        if self.model is None and len(self.models) > 1:
            names = ", ".join(list(self.models)[:8])
            raise ConfigError(
                f"the server has several models; name one of {names} by --policy-model"
            )
        if self.model is None:
            self.model = next(iter(self.models), None)
        self.context_tokens = self.models.get(self.model or "")

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
        attempt = num_mends = 0
        while True:
            sent = self._adapted(body)
            try:
                return parse_reply(api, await self._post(PATHS[api], sent))
            except _HttpFailure as failure:
                mended = self._mended(failure, body, sent)
                if mended is not None and num_mends < MAX_MENDS:
                    body, num_mends = mended, num_mends + 1
                    continue
                error = self._error_of(failure)
                wait_s = failure.wait_s
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

    def _max_retries(self, error: BackendError) -> int:
        if not error.retryable or (self.is_probing and isinstance(error, BackendTimeout)):
            return 0
        most = self.options.max_retries
        is_patient = isinstance(error, RateLimited) or not self.is_probing
        return most if is_patient else min(most, PROBE_RETRIES)

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        assert self._slots is not None, "the client was used before it was opened"
        async with self._slots:
            return await self._send("POST", path, body, self.options.timeout_s)

    async def _send(
        self, method: str, path: str, body: dict[str, Any] | None, limit_s: float
    ) -> Any:
        import httpx

        self.requests += 1
        try:
            text = await asyncio.wait_for(self._exchange(method, path, body), timeout=limit_s)
        except asyncio.TimeoutError:
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
        assert self._http is not None, "the client was used before it was opened"
        content = None if body is None else json.dumps(body).encode()
        headers = None if body is None else {"Content-Type": "application/json"}
        async with self._http.stream(method, path, content=content, headers=headers) as response:
            text = await read_body(response, self.options.api_key)
            if response.status_code != 200:
                wait_s = retry_after_s(response.headers, time.time())
                raise _HttpFailure(response.status_code, text, wait_s)
            return text

    def _adapted(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body as this server takes it."""
        sent: dict[str, Any] = {} if self.model is None else {"model": self.model}
        sent.update({key: value for key, value in body.items() if key not in self.refused})
        sent.update(self.options.extra_body)
        limit = sent.pop("max_tokens", None)
        if limit is not None:
            allowed = limit if self.max_tokens_limit is None else self.max_tokens_limit
            sent[self.max_tokens_field] = min(limit, allowed, self._room(body, limit))
        return sent

    def _room(self, body: dict[str, Any], limit: int) -> int:
        """Return the tokens that the prompt surely leaves in the context, at least a quarter."""
        if self.context_tokens is None:
            return limit
        left = self.context_tokens - len(shown_text(body)) // CHARACTERS_PER_TOKEN
        return max(left, self.context_tokens // 4, 1)

    def _mended(
        self, failure: _HttpFailure, body: dict[str, Any], sent: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Return what to send at once instead of a refused request, None if it cannot be mended."""
        if failure.status not in (400, 422):
            return None
        if self.max_tokens_field == "max_tokens" and is_renamed_limit(failure.body):
            self.max_tokens_field = "max_completion_tokens"
            return body
        limit = sent.get(self.max_tokens_field, 0)
        context = context_refusal(failure.body)
        if context is not None:
            known = self.context_tokens or context.context_tokens
            self.context_tokens = min(known, context.context_tokens)
            lower = context.next_limit(limit)
            return None if lower is None else {**body, "max_tokens": lower}
        allowed = token_limit(failure.body)
        if allowed is not None and allowed < limit:
            self.max_tokens_limit = allowed
            return body
        refused = refused_field(failure.body, sent) if self.is_probing else None
        if refused is None:
            return None
        self.refused.add(refused)
        return body

    def _error_of(self, failure: _HttpFailure) -> BackendError:
        has_key = self.options.api_key is not None
        return error_of(failure.status, failure.body, self.model, has_key=has_key)
