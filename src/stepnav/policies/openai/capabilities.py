"""What a server was found to honour, and what is done instead where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stepnav.policies.openai.protocol import Api
from stepnav.policies.resampling import MAX_DRAWS

SMALL_CONTEXT = 4096
"""In a context of fewer tokens, prompt and solution may not have room."""

Continuation = Literal["prompt", "continue_final_message", "prefix", "plain", "no"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server honours, found by asking it.

    Attributes:
      api: the endpoint that answered.
      n: whether one request returns several different samples.
      stop: whether a stop string ends the text and is "removed" from it or "kept", or is "ignored".
      keep_stop_field: the field that makes a server which removes it keep it, if one does.
      names_stop: whether answers tell which stop string ended them.
      seed: "honoured"; "alone", repeats only while no other request is in flight; or "ignored".
      temperature: "honoured"; "generation_config", only through that field; or "ignored".
      lowest_temperature: sent for 0, where the server refuses that.
      logprobs: whether log-probabilities of the sampled tokens are returned.
      excludes: whether it names tokens' ids, lists likely ones, and draws none that `logit_bias`
        forbids.
      continues: how a prefix is continued: after the "prompt" (completions); for chat by
        "continue_final_message" (vLLM, SGLang), by "prefix" in the last message (DeepSeek,
        Mistral), by a "plain" last assistant message; "no" if by none of them.
      trims_prefix: whether white space at the end of the prefix is lost.
      max_tokens: whether the limit is kept.
      usage: whether answers count their tokens.
      refused: fields that the server refused.
      max_tokens_field: what it calls the token limit.
      max_tokens_limit: the largest limit that it allows, if it named one.
      context_tokens: what prompt and answer may hold together, if it told.
    """

    api: Api = "completions"
    n: bool = False
    stop: Literal["removed", "kept", "ignored"] = "ignored"
    keep_stop_field: str | None = None
    names_stop: bool = False
    seed: Literal["honoured", "alone", "ignored"] = "ignored"
    temperature: Literal["honoured", "generation_config", "ignored"] = "honoured"
    lowest_temperature: float = 0.0
    logprobs: bool = False
    excludes: bool = False
    continues: Continuation = "prompt"
    trims_prefix: bool = False
    max_tokens: bool = True
    usage: bool = True
    refused: tuple[str, ...] = ()
    max_tokens_field: str = "max_tokens"
    max_tokens_limit: int | None = None
    context_tokens: int | None = None

    @property
    def is_stop_exact(self) -> bool:
        """Whether an answer that ends at a stop string can be told from one that ends by itself."""
        return self.stop != "removed" or self.keep_stop_field is not None or self.names_stop


def fallbacks(found: Capabilities) -> tuple[str, ...]:
    """Return one line for each thing that the server does not honour: what, and what we do."""
    lines = [
        None if found.n else "n is not honoured: several samples are asked for one by one",
        _stop_line(found),
        _seed_line(found),
        _temperature_line(found),
        None if found.logprobs else "logprobs are not returned: steps carry no log-probability",
        None
        if found.excludes
        else "no token can be excluded: a step that was drawn before is drawn again, "
        f"up to {MAX_DRAWS} times",
        _continuation_line(found),
        None
        if found.max_tokens
        else "max_tokens is not kept: a sample may cost more than its bound",
        None if found.usage else "answers count no tokens: counted as characters / 4",
    ]
    if found.refused:
        lines.append(f"refused and left out: {', '.join(found.refused)}")
    if found.max_tokens_field != "max_tokens":
        lines.append(f"max_tokens is refused: sent as {found.max_tokens_field}")
    if found.max_tokens_limit is not None:
        lines.append(f"at most {found.max_tokens_limit} tokens a sample are allowed: limit lowered")
    if found.context_tokens is not None and found.context_tokens < SMALL_CONTEXT:
        lines.append(
            f"the context holds {found.context_tokens} tokens: samples are cut where it ends"
        )
    return tuple(line for line in lines if line is not None)


def _stop_line(found: Capabilities) -> str | None:
    if found.stop == "ignored":
        return (
            "stop is ignored: steps are cut out of longer answers here, and the tokens generated "
            "beyond them are charged"
        )
    if found.stop == "kept":
        return "stop strings are kept in the text: steps are trimmed at the boundary here"
    if not found.is_stop_exact:
        return (
            "stop strings are removed without a trace: the end of a solution is known by its "
            "answer pattern, or when the next step comes back empty"
        )
    return None


def _seed_line(found: Capabilities) -> str | None:
    if found.seed == "ignored":
        return "seed is ignored: a run cannot be repeated, only resumed from its journal"
    if found.seed == "alone":
        return (
            "seed holds only while no other request is in flight: for repeatable runs set "
            "--concurrency to 1"
        )
    return None


def _temperature_line(found: Capabilities) -> str | None:
    if found.temperature == "ignored":
        return "temperature has no effect: samples are drawn, or not, as the server likes"
    if found.temperature == "generation_config":
        return "temperature alone has no effect: generation_config is sent with it"
    if found.lowest_temperature > 0:
        return f"temperature 0 is refused: {found.lowest_temperature} is sent for it"
    return None


def _continuation_line(found: Capabilities) -> str | None:
    if found.continues == "no":
        return (
            "the last message cannot be continued: the steps so far are shown in a new user turn, "
            "and a reply that repeats them is trimmed"
        )
    if found.trims_prefix:
        return (
            "white space at the end of the prefix is lost: steps after the first are cut out of "
            "longer answers here"
        )
    return None
