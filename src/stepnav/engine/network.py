"""A model as the engine runs it: our attention inside, one packed pass at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from stepnav.core.errors import ConfigError, one_line
from stepnav.engine.graphs import PassGraphs
from stepnav.engine.llama import Llama
from stepnav.engine.passes import Pass, plan_pass
from stepnav.engine.row import Row
from stepnav.engine.self_check import FIRST_PASS, TOKENS, WANTED, check_alike, tell_experts
from stepnav.engine.slots import SlotCache

ONE_THREAD_PARAMETERS = 50_000_000
"""Models up to this size run on one CPU thread: more threads gain them little, and would cut sums
into parts by the shape of a pass, so that bits would differ."""

GPU_ROW_STEP = 8
"""Passes are padded to a multiple of so many tokens on a GPU: there are few shapes to record as
graphs, and half precision is fastest with such."""


class Network:
    """Runs passes through a model.

    Args:
      model: a `Llama`, or a `transformers` model in evaluation mode; its attention is set to ours.
      row_step: on a CPU, passes are padded to a multiple of so many tokens (see `attention`).
      has_logits: whether the model may be asked for single positions (`logits_to_keep`).
      graphs: whether a `Llama`'s passes of single tokens are replayed (`PassGraphs`); None does on
        a GPU.

    Attributes:
      shape: what one token leaves in the cache.
      row_step: as given on a CPU; `GPU_ROW_STEP` elsewhere.

    Raises:
      ConfigError: the model's outputs would be others than by itself.
    """

    def __init__(
        self, model: Any, *, row_step: int, has_logits: bool, graphs: bool | None = None
    ) -> None:
        self.model = model
        self._decoder = model if isinstance(model, Llama) else _hosted(model, has_logits)
        self.shape = self._decoder.shape
        on_cpu = self.shape.on_cpu
        self.row_step = row_step if on_cpu else GPU_ROW_STEP
        size = sum(parameter.numel() for parameter in model.parameters())
        self._one_thread = on_cpu and size <= ONE_THREAD_PARAMETERS and row_step > 1
        if isinstance(model, Llama):
            wanted = not on_cpu if graphs is None else graphs
            model.graphs = PassGraphs(model.model) if wanted else None
        else:
            check_alike(model, self._outputs(), self._decoder.expected[list(WANTED)])
            if on_cpu and row_step > 1 and next(model.parameters()).dtype == torch.float32:
                tell_experts(model)

    def run(self, plan: Pass, cache: SlotCache) -> Any:
        """Return the outputs [len(plan.asked), C] of one pass, in float32.

        Args:
          plan: what is read and asked.
          cache: the slots that `plan` was made for; they take the new keys and values.
        """
        threads = 1 if self._one_thread else torch.get_num_threads()
        with torch.inference_mode(), _threads(threads):
            # what padded `keep` is left out
            return self._decoder(plan, cache)[: len(plan.asked)].float()

    def _outputs(self) -> Any:
        """Return the outputs [len(WANTED), C] for `TOKENS`, read in two passes.

        Raises:
          ConfigError: the model cannot be run so.
        """
        # in slot 1, so that outputs of a model that mixed up slots would differ
        row = Row(list(TOKENS), WANTED, slot=1)
        cache = SlotCache(self.shape, 0, 0)
        outputs = []
        try:
            while row.num_filled < len(TOKENS):
                plan = plan_pass([row], cache, FIRST_PASS, self.row_step)
                outputs.append(self.run(plan, cache))
                row.num_filled += plan.num_tokens
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise ConfigError(
                f"{type(self.model).__name__} cannot be run by the engine ({one_line(error)}); "
                "use a model whose attention transformers lets others compute"
            ) from None
        return torch.cat(outputs)


def _hosted(model: Any, has_logits: bool) -> Any:
    """Return what runs a model of `transformers`, which is imported only then."""
    from stepnav.engine.hosted import HostedModel

    return HostedModel(model, has_logits=has_logits)


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
