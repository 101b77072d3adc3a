"""What reward models in this process share: loading, and the engine behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from stepnav.core.errors import ConfigError
from stepnav.engine.loading import (
    context_length,
    load_tokenizer,
    num_parameters,
    require_torch,
)
from stepnav.engine.model_folder import model_folder
from stepnav.rewards.local.queue import Reader, ScoreQueue

if TYPE_CHECKING:
    from typing_extensions import Unpack


class EngineLimits(TypedDict, total=False):
    """Limits of the engine.

    Attributes:
      max_batch: most trajectories in one pass; default 64.
      max_batch_tokens: bound of trajectories x longest one in tokens; default what 2 GiB hold.
      cache_tokens: tokens of scored trajectories kept for reuse; default what 512 MiB hold.
      pass_tokens: most tokens of one forward pass; default 1024.
    """

    max_batch: int
    max_batch_tokens: int | None
    cache_tokens: int | None
    pass_tokens: int


class LocalReward(ScoreQueue):
    """A reward model in this process, over the engine.

    Args:
      model: gives outputs per token and keeps plain keys and values.
      reader: what is read.
      has_logits: whether it can be asked for single positions (`logits_to_keep`).
      output_floats: size of one output, where outputs are kept for reuse.
      limits: see `EngineLimits`.
    """

    def __init__(
        self,
        model: Any,
        reader: Reader,
        *,
        has_logits: bool = False,
        output_floats: int = 0,
        **limits: Unpack[EngineLimits],
    ) -> None:
        from stepnav.engine.runner import Runner

        self.num_parameters = num_parameters(model)
        limits.setdefault("pass_tokens", 1024)
        super().__init__(
            reader,
            Runner(model, has_logits=has_logits, output_floats=output_floats, **limits),
            flops_per_token=2 * self.num_parameters,
            context=context_length(model),
        )


def local_source(model: Any) -> Any:
    """Return the folder (`Path`) of a folder or a hub name; a loaded model as it is.

    Raises:
      ConfigError: torch is missing, or there is no such folder or hub model.
    """
    require_torch()
    return model_folder(model) if isinstance(model, (str, Path)) else model


def load_pair(model: Any, tokenizer: Any, load: Callable[[Path], Any]) -> tuple[Any, Any]:
    """Return a loaded model and its tokenizer.

    Args:
      model: a folder, a hub name or a loaded model.
      tokenizer: loaded, or None for the one beside the model.
      load: loads a model.
    Raises:
      ConfigError: torch is missing, or one of them cannot be used.
    """
    source = local_source(model)
    if isinstance(source, Path):
        return load(source), load_tokenizer(source) if tokenizer is None else tokenizer
    if tokenizer is None:
        raise ConfigError("a loaded model needs its tokenizer; pass tokenizer=")
    return model, tokenizer


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
