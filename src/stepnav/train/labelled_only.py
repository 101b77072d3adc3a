"""What only labelled tokens need is computed for them only.

In the last layer a token gives others only its keys and values. Its queries, what attention makes
of them, the MLP, and a language model's output over the vocabulary are needed only where something
is to be learnt. Losses and gradients are those of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from stepnav.engine.checkpoint.loading import decoder_layers


@dataclass(frozen=True, slots=True)
class LabelledOnly:
    """The parts of a model that can work on labelled tokens alone.

    Attributes:
      last_layer: its projection of queries, its attention's output and its MLP, as far as they have
        the usual names. None of them where the MLP is of another kind (experts see each other's
        load), or where layers are computed twice (gradient checkpointing).
      vocabulary: the output over the vocabulary; None for a classifier, whose few outputs cost
        nothing.
    """

    last_layer: tuple[Any, ...]
    vocabulary: Any

    @classmethod
    def of(cls, model: Any) -> LabelledOnly:
        """Return the parts of a `transformers` model that can."""
        layers = decoder_layers(model)
        last: Any = layers[-1] if layers else None
        is_plain = type(getattr(last, "mlp", None)).__name__.endswith("MLP")
        is_repeated = any(
            getattr(item, "gradient_checkpointing", False) for item in model.modules()
        )
        parts: tuple[Any, ...] = ()
        if is_plain and not is_repeated:
            attention = getattr(last, "self_attn", None)
            around = (getattr(attention, "q_proj", None), getattr(attention, "o_proj", None))
            parts = (*(part for part in around if part is not None), last.mlp)
        return cls(parts, model.get_output_embeddings())

    def outputs(self, model: Any, inputs: dict[str, Any], places: torch.Tensor) -> torch.Tensor:
        """Return the model's outputs at labelled tokens, [M, C].

        Args:
          model: the one this is of, or its wrapper.
          inputs: of one pass, [B, T] each.
          places: which tokens are labelled, counted over all rows, [M]; one may stand there several
            times.
        """
        unique = places.unique()
        with ExitStack() as stack:
            for part in self.last_layer:
                stack.enter_context(_only_at(part, unique))
            if self.vocabulary is not None:
                stack.enter_context(_gathered(self.vocabulary, places))
            logits: torch.Tensor = model(**inputs, use_cache=False).logits.flatten(0, 1)
        return logits[places] if self.vocabulary is None else logits


@contextmanager
def _gathered(module: Any, places: torch.Tensor) -> Iterator[None]:
    """Give a module these tokens only, as one row."""
    hook = module.register_forward_pre_hook(
        lambda _, args: (args[0].flatten(0, 1)[places][None], *args[1:])
    )
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _only_at(module: Any, places: torch.Tensor) -> Iterator[None]:
    """Give a module these tokens only; its output is zero at all others."""
    shape: torch.Size

    def remember(_: Any, args: tuple[torch.Tensor, ...]) -> None:
        nonlocal shape
        shape = args[0].shape

    def spread(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        whole = output.new_zeros(shape[0] * shape[1], output.shape[-1])
        return whole.index_copy(0, places, output[0]).unflatten(0, shape[:2])

    first = module.register_forward_pre_hook(remember)
    last = module.register_forward_hook(spread)
    try:
        with _gathered(module, places):
            yield
    finally:
        first.remove()
        last.remove()
