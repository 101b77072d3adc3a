"""A policy behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, transformers serve, hosted.

On connect the server is asked what it really honours (`probe.py`), and what it does not
is made up for here and said in `fallbacks`.

Deliberately absent: streaming (a server that ignores stop strings generates past the step, which is
charged), tool calls, and reading of environment variables.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Literal

from stepnav.core.errors import ConfigError
from stepnav.core.requests import Request, Score
from stepnav.policies.openai.capabilities import Capabilities, fallbacks
from stepnav.policies.openai.client import Client
from stepnav.policies.openai.probe import probe
from stepnav.policies.openai.prompts import PromptOptions
from stepnav.policies.openai.protocol import Api
from stepnav.policies.openai.sampling import Sampler
from stepnav.policies.splitting import ANSWER_PATTERN
from stepnav.remote.connection import with_version
from stepnav.remote.options import ServerOptions
from stepnav.remote.queue import CallsToServer

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger("stepnav")

PATIENCE_S = 5.0
"""After so long without a probe's end, the user is told what is waited for."""


class OpenAIPolicy(CallsToServer):
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
        if api not in ("completions", "chat", "auto"):
            raise ConfigError(f"api must be completions, chat or auto (got {api!r})")
        options = PromptOptions(
            separator, prompt_template, chat_template, system_prompt, end_strings, answer_pattern
        )
        server = server or ServerOptions()
        self._client = Client(with_version(base_url), model, server, transport)
        super().__init__(self._client, "openai policy")
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

    def submit(self, ticket: int, request: Request) -> None:
        """Take a request; returns at once."""
        if isinstance(request, Score):
            raise TypeError("the openai policy does not score; Score goes to a reward model")
        self._start(ticket, self._sampler.answer(request))

    def token_bound(self, request: Request) -> int:
        """Return the most tokens that answering may generate."""
        if isinstance(request, Score):
            raise TypeError("the openai policy does not score; Score goes to a reward model")
        return self._sampler.num_draws(request) * self._sampler.limit(request)

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
