"""A radix tree over token sequences that holds keys and values, bounded, least recently used out.

As SGLang's radix cache (Zheng et al. 2023, arXiv 2312.07104, section 3), with two differences: a
node may also hold the model's output at its last token, so that a sibling needs not even that one
again, and rows work on copies, so that any node may be evicted at any time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False, slots=True)
class _Node:
    """A run of tokens; `key_values` has their keys and values, tokens in the last axis but one."""

    tokens: tuple[int, ...]
    key_values: Any  # [layers, 2, G, len(tokens), D], a copy of its own
    parent: _Node | None
    output: Any = None  # [C] at the last token; None if it was not kept
    used: int = 0
    children: dict[int, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """What the tree knows of a token sequence.

    Attributes:
      length: leading tokens whose keys and values are known.
      segments: (keys and values, number of tokens to take from their start), in order.
      outputs: position -> the model's output at that token, where it was kept.
    """

    length: int
    segments: tuple[tuple[Any, int], ...]
    outputs: Mapping[int, Any]


class PrefixTree:
    """Keeps keys, values and outputs of token sequences, sharing equal prefixes.

    Args:
      max_tokens: most tokens kept; the least recently used leaves go first.
      output_tokens: what one kept output counts, in tokens of the same size in memory.
    """

    def __init__(self, max_tokens: int, *, output_tokens: int = 0) -> None:
        if max_tokens < 0:
            raise ValueError(f"max_tokens must not be negative (got {max_tokens})")
        self.max_tokens = max_tokens
        self.num_tokens = 0
        self.num_evicted = 0
        self._output_tokens = output_tokens
        self._clock = 0
        self._root = _Node((), None, None)
        self._nodes: set[_Node] = set()

    def match(self, tokens: Sequence[int]) -> Match:
        """Return what is known of the longest known prefix of `tokens`."""
        self._clock += 1
        tokens = tuple(tokens)
        segments: list[tuple[Any, int]] = []
        outputs: dict[int, Any] = {}
        node, position = self._root, 0
        while position < len(tokens):
            child = node.children.get(tokens[position])
            if child is None:
                break
            # usually all are equal: one comparison of tuples; token by token only where it fails
            shared = len(child.tokens)
            if tokens[position : position + shared] != child.tokens:
                shared = _num_shared(child.tokens, tokens, position)
            child.used = self._clock
            segments.append((child.key_values, shared))
            position += shared
            if shared < len(child.tokens):
                break  # the output belongs to the last token, which is another one here
            if child.output is not None:
                outputs[position - 1] = child.output
            node = child
        return Match(position, tuple(segments), outputs)

    def insert(
        self,
        tokens: Sequence[int],
        read: Callable[[int, int], Any],
        outputs: Mapping[int, Any],
    ) -> None:
        """Add a sequence; known parts stay as they are.

        Args:
          tokens: the whole sequence from its first token.
          read: returns a copy of the keys and values of tokens start to end.
          outputs: position -> output to keep at that token.
        """
        tokens = tuple(tokens[: self.max_tokens])
        self._clock += 1
        node, position = self._root, 0
        # an output stands at its node's last token, so a node ends wherever there is one
        ends = {end + 1 for end in outputs if end < len(tokens)}
        for end in sorted(ends | {len(tokens)}):
            while position < end:
                child = node.children.get(tokens[position])
                if child is None:
                    # copied out of the slot only where it is new
                    child = self._add(node, tokens[position:end], read(position, end))
                else:
                    shared = _num_shared(child.tokens, tokens, position, end)
                    if shared < len(child.tokens):
                        child = self._split(child, shared)
                child.used = self._clock
                node = child
                position += len(child.tokens)
            if end in ends and node.output is None:
                node.output = outputs[end - 1]
                self.num_tokens += self._output_tokens
        if self.num_tokens > self.max_tokens:
            self._trim()

    def clear(self) -> None:
        """Forget everything."""
        self._root.children.clear()
        self._nodes.clear()
        self.num_tokens = 0

    def _add(self, parent: _Node, tokens: tuple[int, ...], key_values: Any) -> _Node:
        node = _Node(tokens, key_values, parent)
        parent.children[tokens[0]] = node
        self._nodes.add(node)
        self.num_tokens += len(tokens)
        return node

    def _split(self, node: _Node, at: int) -> _Node:
        """Cut a node in two and return the upper one; copies, so that evicting either frees it."""
        assert node.parent is not None, "the root is never split"
        upper = _Node(node.tokens[:at], node.key_values[..., :at, :].clone(), node.parent)
        node.parent.children[node.tokens[0]] = upper
        node.key_values = node.key_values[..., at:, :].clone()
        node.tokens = node.tokens[at:]
        node.parent = upper
        upper.children[node.tokens[0]] = node
        self._nodes.add(upper)
        return upper

    def _trim(self) -> None:
        """Evict least recently used leaves until a tenth of the room is free."""
        # A tenth at once, since finding the leaves takes a walk over all nodes. `order` breaks
        # ties, so that nodes, which have no order, are never compared.
        order = 0
        leaves: list[tuple[int, int, _Node]] = []
        for node in self._nodes:
            if not node.children:
                order += 1
                leaves.append((node.used, order, node))
        heapq.heapify(leaves)
        while self.num_tokens > self.max_tokens * 9 // 10 and leaves:
            _, _, node = heapq.heappop(leaves)
            assert node.parent is not None, "the root is no leaf"
            del node.parent.children[node.tokens[0]]
            self._nodes.discard(node)
            self.num_tokens -= len(node.tokens)
            self.num_tokens -= self._output_tokens if node.output is not None else 0
            self.num_evicted += len(node.tokens)
            # used at least as lately as its children, so it becomes a candidate only without them
            if node.parent is not self._root and not node.parent.children:
                order += 1
                heapq.heappush(leaves, (node.parent.used, order, node.parent))


def _num_shared(
    known: tuple[int, ...], tokens: tuple[int, ...], start: int, end: int | None = None
) -> int:
    """Return how many tokens of `known` equal those of `tokens` from `start` on."""
    stop = start + len(known)
    piece = tokens[start : stop if end is None else min(end, stop)]
    if piece == known[: len(piece)]:
        return len(piece)
    return next(index for index, pair in enumerate(zip(known, piece)) if pair[0] != pair[1])
