"""A family of reward models as data: how its checkpoints are loaded, read and run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, TypedDict

from stepnav.core.errors import ConfigError
from stepnav.engine.checkpoint.loading import ModelKind
from stepnav.rewards.local.step_reader import Reader


class EngineLimits(TypedDict, total=False):
    """Limits of the engine.

    Attributes:
      max_batch: most trajectories in one pass; default 64.
      max_batch_tokens: bound of trajectories x longest one in tokens; default what 2 GiB hold,
        on a GPU a quarter of what is free.
      cache_tokens: tokens of scored trajectories kept for reuse; default a quarter of that.
      pass_tokens: most tokens of one forward pass; default 1024, on a GPU 8 times as many.
    """

    max_batch: int
    max_batch_tokens: int | None
    cache_tokens: int | None
    pass_tokens: int


def read_by_token(model: Any, limits: EngineLimits) -> Any:
    """Return what runs a model that gives a few outputs at every token."""
    from stepnav.engine.runner import Runner

    return Runner(model, has_logits=False, **limits)


def read_by_position(model: Any, limits: EngineLimits) -> Any:
    """Return what runs a language model, which can be asked for single positions."""
    from stepnav.engine.runner import Runner

    return Runner(model, **limits)


CAUSAL = "transformers:AutoModelForCausalLM"


@dataclass(frozen=True, slots=True)
class Family:
    """How the checkpoints of a family are loaded, read and run.

    Attributes:
      noun: what its model is, for messages.
      loader: MODULE:NAME of the class of transformers, or of ours, whose `from_pretrained` loads
        it; imported when it is needed.
      reader: (model, tokenizer, format) to what reads a step's score. Of the model only its config
        and structure are looked at, so that one without weights will do.
      format: (folder, config) to the settings beside the weights; the folder is None for a loaded
        model.
      runner: (model, limits) to what runs it.
      pass_tokens: the limit of that name where none is given.
      served: what a server gives that has such a model: outputs at all "tokens" or at the end of
        "texts", or the probabilities of "labels" as next tokens; None where none gives its scores.
      kind: what it is to the engine, where a plain Llama is loaded without transformers.
    """

    noun: str
    loader: str
    reader: Callable[[Any, Any, Any], Reader]
    format: Callable[[Path | None, Any], Any] = lambda folder, config: None
    runner: Callable[[Any, EngineLimits], Any] = read_by_token
    pass_tokens: int = 1024
    served: Literal["tokens", "texts", "labels"] | None = None
    kind: ModelKind | None = None

    def model_class(self) -> Any:
        """Return the class that `loader` names."""
        module, _, name = self.loader.partition(":")
        return getattr(import_module(module), name)


def single_token(tokenizer: Any, text: str, what: str) -> int:
    """Return the token of a text that must be one.

    Args:
      tokenizer: the reward model's.
      text: for instance "+".
      what: its name in messages, for instance "good label".
    Raises:
      ConfigError: the tokenizer splits it, or does not know it.
    """
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise ConfigError(
            f"the tokenizer has no single token for the {what} {text!r} (it gives {len(ids)}); "
            "this is no reward model of this family, or its tokenizer is another's"
        )
    return ids[0]
