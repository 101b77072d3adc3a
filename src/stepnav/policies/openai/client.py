"""Requests for text to one OpenAI-compatible server, in the form in which it takes them.

A token limit that the server refuses is lowered: for good where it names its own
(`max_tokens_limit`), for one request where that does not fit into the context. A field that it
refuses by name is left out from then on (`refused`), but only while it is probed: a run must not
change on its way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stepnav.core.errors import BackendError, BackendTimeout, BadResponse, RateLimited
from stepnav.policies.openai.protocol import Api, Reply, Spending, Tokens, parse_reply, tokens_of
from stepnav.policies.openai.refusals import (
    context_refusal,
    is_renamed_limit,
    refused_field,
    shown_text,
    token_limit,
)  # fmt: skip
from stepnav.remote.connection import Connection, HttpFailure

PATHS = {"completions": "/completions", "chat": "/chat/completions"}

PROBE_RETRIES = 2
"""How often a probe is sent again: whoever starts a run wants to know soon what is wrong."""

MAX_MENDS = 16
"""How often one request is sent again in another form."""

CHARACTERS_PER_TOKEN = 2
"""Of a prompt, at least; what is asked for beside it is refused if the guess is too bold."""


@dataclass(slots=True)
class Client(Connection):
    """Sends requests for text to one server; lives in one event loop.

    Attributes:
      is_probing: whether fields that are refused are left out from then on.
      refused: those fields.
      max_tokens_field: what the server calls the token limit.
      max_tokens_limit: the largest limit it allows, once it has said so.
      context_tokens: what prompt and answer may hold together, once it is known.
    """

    is_probing: bool = False
    refused: set[str] = field(default_factory=set)
    max_tokens_field: str = "max_tokens"
    max_tokens_limit: int | None = None
    context_tokens: int | None = None

    async def meet(self) -> None:
        """Ask the server for its models and their contexts, as `Connection.meet`."""
        await Connection.meet(self)
        self.context_tokens = self.models.get(self.model or "")

    async def generate(
        self, api: Api, body: dict[str, Any], seed: int, spent: Spending | None = None
    ) -> Reply:
        """Return the parsed reply to a request, with retries.

        Args:
          api: which endpoint.
          body: the request without `model`.
          seed: derives the jitter of the pauses.
          spent: the tokens of answers that cannot be used are added to it.
        Raises:
          BackendError: the request failed for good.
        """
        spent = Spending() if spent is None else spent
        num_mends = 0

        async def once() -> Reply:
            nonlocal body, num_mends
            while True:
                sent = self._adapted(body)
                try:
                    return _parsed(api, await self.post(PATHS[api], sent), spent)
                except HttpFailure as failure:
                    mended = self._mended(failure, body, sent)
                    if mended is None or num_mends >= MAX_MENDS:
                        raise
                    body, num_mends = mended, num_mends + 1

        return await self.retried(once, seed)

    def _max_retries(self, error: BackendError) -> int:
        if self.is_probing and isinstance(error, BackendTimeout):
            return 0
        most = Connection._max_retries(self, error)
        is_patient = isinstance(error, RateLimited) or not self.is_probing
        return most if is_patient else min(most, PROBE_RETRIES)

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
        self, failure: HttpFailure, body: dict[str, Any], sent: dict[str, Any]
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


def _parsed(api: Api, payload: Any, spent: Spending) -> Reply:
    """Return what an answer holds; one that cannot be used has cost what the server counted."""
    try:
        return parse_reply(api, payload)
    except (BadResponse, HttpFailure):
        spent.failed += tokens_of(payload) or Tokens()
        raise
