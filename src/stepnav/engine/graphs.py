"""Passes of single tokens as CUDA graphs: launched by one call instead of a thousand.

A small model's pass takes a GPU less time than Python takes to launch it. Such passes repeat with
the same shapes, so each shape is recorded once and replayed with new numbers. The keys and values
lie where they lay when it was recorded; when the slots are made anew, all is recorded anew. Without
a GPU a replay computes again from the same fixed numbers, so that all but the recording is tried on
any machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from stepnav.core.errors import one_line
from stepnav.engine.attention import Group, Plan
from stepnav.engine.passes import Pass
from stepnav.engine.slots import SlotCache

MIN_SEEN = 2
"""A shape is recorded when it comes so often: recording takes as long as a dozen passes."""

logger = logging.getLogger("stepnav")


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A pass that can be replayed.

    Attributes:
      singles: [3, N], as `Pass.singles`: what the next replay reads.
      states: [N, W], what it leaves.
      replay: computes them.
    """

    singles: Any
    states: Any
    replay: Callable[[], None]


class PassGraphs:
    """Replays a decoder's passes of single tokens.

    Args:
      decoder: (ids, positions, plan, cache) to states [N, W]; waits for nothing on the CPU.
    """

    def __init__(self, decoder: Callable[..., Any]) -> None:
        self._decoder = decoder
        self._place: tuple[Any, int] = (None, 0)  # of the slots: which, and their generation
        self._seen: dict[Any, int] = {}
        self._known: dict[Any, _Recorded] = {}
        self._pool: Any = None
        self.has_failed = False
        self.num_replays = 0

    def states(self, plan: Pass, cache: SlotCache) -> Any:
        """Return the states [N, W] of a pass; None where it is to be computed as usual.

        They are overwritten by the next pass of the same shape.
        """
        if plan.singles is None or self.has_failed:
            return None
        if self._place != (cache, cache.generation):
            self._known.clear()
            self._pool = None  # gone with its graphs
            self._place = (cache, cache.generation)
        blocks = tuple((group.slots.stop, group.length) for group in plan.attention.groups)
        self._seen[blocks] = self._seen.get(blocks, 0) + 1
        if self._seen[blocks] < MIN_SEEN:
            return None
        if blocks not in self._known:
            try:
                self._known[blocks] = self._recorded(plan, cache)
            except RuntimeError as error:
                logger.warning("CUDA graphs cannot be used (%s); passes go on", one_line(error))
                self.has_failed = True
                return None
        known = self._known[blocks]
        known.singles.copy_(plan.singles)
        known.replay()
        self.num_replays += 1
        return known.states

    def _recorded(self, plan: Pass, cache: SlotCache) -> _Recorded:
        """Record one pass; what it writes, its replay writes again."""
        singles = plan.singles.clone()
        ids, positions, slots = singles
        blocks = [(group.slots, group.length) for group in plan.attention.groups]

        def compute() -> Any:
            groups = [
                Group(block, block, positions[block, None], length) for block, length in blocks
            ]
            attention = Plan(groups, None, cache.rows_of(slots, positions))
            return self._decoder(ids, positions, attention, cache)

        if not torch.cuda.is_available():
            states = compute()

            def again() -> None:
                states.copy_(compute())

            return _Recorded(singles, states, again)
        self._warm_up(compute)
        graph = torch.cuda.CUDAGraph()
        # one pool for all: they are replayed one after the other; other threads may use the GPU
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            states = compute()
        self._pool = graph.pool()
        return _Recorded(singles, states, graph.replay)

    def _warm_up(self, compute: Callable[[], Any]) -> None:
        """Compute once on a stream of its own, so that libraries have made their workspaces."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            compute()
        torch.cuda.current_stream().wait_stream(stream)
