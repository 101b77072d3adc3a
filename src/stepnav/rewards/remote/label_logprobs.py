"""The log-probabilities of two labels among the likely tokens that a completion lists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepnav.core.errors import BackendError, BadResponse, quote
from stepnav.remote.body import PROVIDER, as_text

TOLERANCE = 1e-3
"""A label that is not listed is less likely than all that are: it is taken for as likely as the
least of these, where that moves the score by no more than this."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label, and how servers name its token.

    Attributes:
      token: its id.
      names: its texts, best first.
    """

    token: int
    names: tuple[str, ...]

    @classmethod
    def of(cls, tokenizer: Any, token: int) -> Label:
        """Return the label of a token.

        Some servers tell its text with its leading space, some without; the latter is no name of
        it where it is another token's, for that would be rated in its place.
        """
        shown = _shown(tokenizer, token)
        names = [f"token_id:{token}", shown]
        bare = tokenizer.decode([token])
        if all(_shown(tokenizer, other) != bare for other in tokenizer.get_vocab().values()):
            names.append(bare)
        return cls(token, tuple(names))

    def among(self, listed: Sequence[tuple[int | None, str, float]]) -> float | None:
        """Return its log-probability, None if it is not listed."""
        for token, _, logprob in listed:
            if token == self.token:
                return logprob
        for name in self.names:
            for token, text, logprob in listed:
                if token is None and text == name:
                    return logprob
        return None


def label_logprobs(payload: Any, good: Label, bad: Label) -> tuple[float, float]:
    """Return the log-probabilities of the two labels as the next token.

    Raises:
      BadResponse: the answer lists no likely tokens.
      BackendError: a label is not listed, and may be too likely to do without it.
    """
    try:
        listed = _listed(payload["choices"][0]["logprobs"])
        least = min(logprob for _, _, logprob in listed)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise BadResponse(
            f"the reward server lists no likely tokens: {quote(as_text(payload))}",
            provider=PROVIDER,
        ) from None
    found = good.among(listed), bad.among(listed)
    known = [logprob for logprob in found if logprob is not None]
    if len(known) < 2 and (not known or math.exp(least - known[0]) > TOLERANCE):
        missing = good if found[0] is None else bad
        raise BackendError(
            f"the label {missing.names[1]!r} is not among the {len(listed)} likely tokens that the "
            "reward server lists; serve the model with vLLM, which tells any token's probability",
            provider=PROVIDER,
        )
    return tuple(least if logprob is None else logprob for logprob in found)  # type: ignore[return-value]


def _shown(tokenizer: Any, token: int) -> str:
    """Return a token's text, its leading space included."""
    piece = str(tokenizer.convert_ids_to_tokens(token))
    return piece.replace("\u2581", " ").replace("\u0120", " ")


def _listed(logprobs: Any) -> list[tuple[int | None, str, float]]:
    """Return (token or None, text, log-probability) of the likely tokens at the first position."""
    if isinstance(logprobs.get("content"), list):  # llama-server
        items = logprobs["content"][0]["top_logprobs"]
        return [(item.get("id"), str(item["token"]), float(item["logprob"])) for item in items]
    first = logprobs["top_logprobs"][0]
    if not isinstance(first, Mapping):
        raise TypeError("no likely tokens")
    return [(None, str(text), float(logprob)) for text, logprob in first.items()]
