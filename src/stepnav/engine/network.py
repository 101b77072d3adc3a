"""A model as the engine runs it: our attention inside, one packed pass at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from stepnav.core.errors import ConfigError, one_line
from stepnav.engine import attention
from stepnav.engine.passes import Pass, plan_pass
from stepnav.engine.row import Row
from stepnav.engine.self_check import FIRST_PASS, TOKENS, check_alike, plain_outputs
from stepnav.engine.slots import SlotCache, probe_shape

ONE_THREAD_PARAMETERS = 50_000_000
"""Models up to this size run on one CPU thread: more threads gain them little, and would cut sums
into parts by the shape of a pass, so that bits would differ."""


class Network:
    """Runs passes through a model.

    Args:
      model: a `transformers` model in evaluation mode; its attention is set to ours.
      row_step: on a CPU, passes are padded to a multiple of so many tokens (see `attention`).
      has_logits: whether the model can be asked for single positions (`logits_to_keep`).

    Attributes:
      shape: what one token leaves in the cache.
      row_step: as given on a CPU; 1 elsewhere, where padding would not make results bit-exact.

    Raises:
      ConfigError: the model's outputs would be others than by itself.
    """

    def __init__(self, model: Any, *, row_step: int, has_logits: bool) -> None:
        attention.register()
        self.model = model
        self.shape = probe_shape(model)
        # what the engine's outputs are compared with: by the model's own attention, until now its
        expected = plain_outputs(model)
        model.set_attn_implementation(attention.ATTENTION_NAME)
        on_cpu = self.shape.device.type == "cpu"
        self.row_step = row_step if on_cpu else 1
        size = sum(parameter.numel() for parameter in model.parameters())
        self._one_thread = on_cpu and size <= ONE_THREAD_PARAMETERS and row_step > 1
        self._has_logits = has_logits
        check_alike(model, self._outputs_of(TOKENS), expected)

    def run(self, plan: Pass, cache: SlotCache) -> Any:
        """Return the outputs [len(plan.asked), C] of one pass, in float32.

        Args:
          plan: what is read and asked.
          cache: the slots that `plan` was made for; they take the new keys and values.
        """
        cache.plan = plan.attention
        # C is a language model's vocabulary, so outputs that no one asks for would cost much
        extra = {"logits_to_keep": plan.keep} if self._has_logits else {}
        with (
            torch.inference_mode(),
            attention.active(plan.attention),
            _threads(1 if self._one_thread else torch.get_num_threads()),
        ):
            # one row of N packed tokens: linear layers and norms see no borders between sequences,
            # only positions and attention do
            logits = self.model(
                input_ids=plan.ids,
                position_ids=plan.positions,
                past_key_values=cache,
                use_cache=True,
                **extra,
            ).logits[0]
            if not self._has_logits:
                logits = logits[plan.keep]
            return logits[: len(plan.asked)].float()  # what padded `keep` is left out

    def _outputs_of(self, tokens: tuple[int, ...]) -> Any:
        """Return the outputs [T, C] for some tokens, read in two passes.

        Raises:
          ConfigError: the model cannot be run so.
        """
        # in slot 1, so that outputs of a model that mixed up slots would differ
        row = Row(list(tokens), tuple(range(len(tokens))), slot=1)
        cache = SlotCache(self.shape, 0, 0)
        outputs = []
        try:
            while row.num_filled < len(tokens):
                plan = plan_pass([row], cache, FIRST_PASS, self.row_step)
                outputs.append(self.run(plan, cache))
                row.num_filled += plan.num_tokens
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise ConfigError(
                f"{type(self.model).__name__} cannot be run by the engine ({one_line(error)}); "
                "use a model whose attention transformers lets others compute"
            ) from None
        return torch.cat(outputs)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with so many CPU threads."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
