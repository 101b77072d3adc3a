"""A policy behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, transformers serve, hosted.

HTTP runs in one background thread with an event loop; the backend's two queues connect it to the
driver. On connect the server is asked what it really honours (`openai_probe`), and what it does not
is made up for here and said in `fallbacks`.

Deliberately absent: streaming (a server that ignores stop strings generates past the step, which is
charged), tool calls, and reading of environment variables.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import queue
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union
from urllib.parse import urlsplit

from stepnav.core.backend import Answer
from stepnav.core.errors import BackendDown, BackendError, ConfigError
from stepnav.core.requests import PolicyRequest, Request, Score
from stepnav.policies.openai.capabilities import Capabilities, fallbacks
from stepnav.policies.openai.client import Client
from stepnav.policies.openai.options import ServerOptions
from stepnav.policies.openai.probe import probe
from stepnav.policies.openai.prompts import ANSWER_PATTERN, PromptOptions
from stepnav.policies.openai.protocol import Api
from stepnav.policies.openai.sampling import Sampler

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger("stepnav")

PATIENCE_S = 5.0
"""After so long without a probe's end, the user is told what is waited for."""

Result = Union[Answer, BackendError]
T = TypeVar("T")


class OpenAIPolicy:
    r"""Proposes steps and completes solutions through an OpenAI-compatible server.

    Args:
      base_url: for instance "http://localhost:8000/v1"; without a path, "/v1" is added.
      model: the model's name there; None takes the only one that the server has.
      api: "completions", "chat", or "auto": completions where the server has them.
      server: key, limits of time, traffic and tokens, extra fields.
      separator: text that ends a step.
      prompt_template: how the question is shown; holds "{question}".
      chat_template: how a chat model is shown it; None uses `prompt_template`.
      system_prompt: first message of a chat; None for none.
      end_strings: text after which a completion model has gone past its solution, for instance
        "\n\nQuestion:"; it is cut there.
      answer_pattern: regular expression; a step in which it is found ends the solution, besides
        what the server says. None leaves the end to the server.
      wants_logprobs: ask for log-probabilities of proposed steps where the server gives them.
      num_parameters: the model's size, for FLOPs; None leaves them unknown.
      capabilities: what the server honours, if known; None asks it.
      transport: replaces the network, for tests.
    Raises:
      ConfigError: an argument is wrong, or httpx is not installed.
      BackendError: the server cannot be reached, or cannot serve this model.
    """

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        *,
        api: Api | Literal["auto"] = "auto",
        server: ServerOptions | None = None,
        separator: str = "\n",
        prompt_template: str = "{question}\n",
        chat_template: str | None = None,
        system_prompt: str | None = None,
        end_strings: tuple[str, ...] = (),
        answer_pattern: str | None = ANSWER_PATTERN,
        wants_logprobs: bool = False,
        num_parameters: int | None = None,
        capabilities: Capabilities | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if importlib.util.find_spec("httpx") is None:
            raise ConfigError("the openai policy needs httpx: pip install 'stepnav[openai]'")
        if api not in ("completions", "chat", "auto"):
            raise ConfigError(f"api must be completions, chat or auto (got {api!r})")
        options = PromptOptions(
            separator, prompt_template, chat_template, system_prompt, end_strings, answer_pattern
        )
        server = server or ServerOptions()
        self._client = Client(with_version(base_url), model, server, transport)
        self._done: queue.SimpleQueue[tuple[int, Result | Exception]] = queue.SimpleQueue()
        self._open: dict[int, Future[None]] = {}
        self._held: list[tuple[int, Result]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="openai", daemon=True)
        self._thread.start()
        try:
            self.capabilities = self._call(self._connect(api, options, capabilities))
        except BaseException:
            self.close()
            raise
        self.model = self._client.model
        self.fallbacks = list(fallbacks(self.capabilities))
        for line in self.fallbacks:
            logger.info("%s (%s): %s", self._client.base_url, self.model, line)
        self._sampler = Sampler(
            self._client, self.capabilities, options, wants_logprobs, num_parameters
        )

    @property
    def http_requests(self) -> int:
        """HTTP requests sent so far, those of the probes and retries included."""
        return self._client.requests

    @property
    def http_retries(self) -> int:
        """How many of them repeated a failed one."""
        return self._client.retries

    def submit(self, ticket: int, request: Request) -> None:
        """Take a request; returns at once."""
        if isinstance(request, Score):
            raise TypeError("the openai policy does not score; Score goes to a reward model")
        if self._loop.is_closed():
            raise RuntimeError("the openai policy was closed")
        work = self._serve(ticket, request)
        self._open[ticket] = asyncio.run_coroutine_threadsafe(work, self._loop)

    def poll(self, timeout_s: float) -> list[tuple[int, Result]]:
        """Return what was answered; waits up to `timeout_s` if nothing was.

        A `BackendDown` comes in a poll of its own, after all that was answered before it.
        """
        ready: list[tuple[int, Result]] = []
        try:
            if timeout_s > 0 and self._open and not self._held:
                self._take(ready, *self._done.get(timeout=timeout_s))
            while True:
                self._take(ready, *self._done.get_nowait())
        except queue.Empty:
            pass
        if ready:
            return ready
        down, self._held = self._held, []
        return down

    def cancel(self, ticket: int) -> None:
        """Forget a request and hang up on the server."""
        future = self._open.pop(ticket, None)
        if future is not None:
            future.cancel()

    def token_bound(self, request: Request) -> int:
        """Return the most tokens that answering may generate."""
        if isinstance(request, Score):
            raise TypeError("the openai policy does not score; Score goes to a reward model")
        return self._sampler.num_draws(request) * self._sampler.limit(request)

    def close(self) -> None:
        """Cancel what is open, close the connections, end the thread; may be called twice."""
        if self._loop.is_closed():
            return
        self._open.clear()
        self._call(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _take(
        self, ready: list[tuple[int, Result]], ticket: int, result: Result | Exception
    ) -> None:
        """Sort one finished request; drops cancelled ones."""
        if self._open.pop(ticket, None) is None:
            return
        if isinstance(result, BackendDown):
            self._held.append((ticket, result))
        elif isinstance(result, (Answer, BackendError)):
            ready.append((ticket, result))
        else:
            raise result

    async def _serve(self, ticket: int, request: PolicyRequest) -> None:
        result: Result | Exception
        try:
            result = await self._sampler.answer(request)
        except Exception as error:  # a bug of ours is raised again in poll
            result = error
        self._done.put((ticket, result))

    async def _connect(
        self, api: Api | Literal["auto"], options: PromptOptions, known: Capabilities | None
    ) -> Capabilities:
        client = self._client
        await client.open()
        if known is None or client.model is None:
            await client.meet()
        if known is None:
            late = asyncio.get_running_loop().call_later(PATIENCE_S, self._tell_waiting)
            try:
                return await probe(client, api, options)
            finally:
                late.cancel()
        client.refused.update(known.refused)
        client.max_tokens_field = known.max_tokens_field
        client.max_tokens_limit = known.max_tokens_limit
        client.context_tokens = known.context_tokens
        return known

    def _tell_waiting(self) -> None:
        """Say that the server is slow: it may be loading the model, or hang."""
        logger.warning(
            "%s (%s) has not answered its first requests yet; waiting for up to %g s each "
            "(--timeout)",
            self._client.base_url,
            self._client.model,
            self._client.options.timeout_s,
        )

    async def _shut(self) -> None:
        own = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not own]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of a coroutine run in the background thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


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
            "folder; give an API key by OPENAI_API_KEY or --api-key-env"
        )
    return f"{url}/v1" if parts.path == "" else url
