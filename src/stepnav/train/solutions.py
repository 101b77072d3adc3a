"""Labelled solutions as tokens, prefix-sharing ones packed into trees.

A step's tokens never depend on what is around it (`StepFormat`), so solutions of one problem that
begin alike share those tokens exactly. In a tree each shared prefix stands once; a token attends to
its own ancestors only (`train.collate`), so that its output is the one of the plain path, where
each solution is a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from stepnav.core.errors import DataError
from stepnav.labels.records import StepRecord
from stepnav.rewards.local.step_format import StepFormat

TOKENISED_STEPS_KEPT = 65536

Segment = tuple[int, ...]


class Label(NamedTuple):
    """What is to be learnt at the end of a step.

    Attributes:
      target: a class number or a value.
      weight: how much its loss counts.
    """

    target: float
    weight: float = 1.0


class Mark(NamedTuple):
    """What is to be learnt at a token of a tree.

    Attributes:
      place: number of the token.
      target, weight: as in `Label`; the target may be a token.
    """

    place: int
    target: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class TokenSolution:
    """One solution's tokens.

    Attributes:
      segments: the tokens of the prompt, then of each step with its separator.
      labels: per step what is to be learnt at its last token; None for nothing.
    """

    segments: tuple[Segment, ...]
    labels: tuple[Label | None, ...]

    @property
    def num_tokens(self) -> int:
        """Tokens of the prompt and all steps."""
        return sum(map(len, self.segments))


@dataclass(slots=True)
class CutCount:
    """What a length limit left out.

    Attributes:
      solutions: how many solutions lost their end.
      steps: labelled steps that were cut, so that no loss is computed for them.
      lost: solutions of which no labelled step is left; they are not trained on.
    """

    solutions: int = 0
    steps: int = 0
    lost: int = 0


def encode_solutions(
    tokenizer: Any,
    records: Sequence[StepRecord],
    targets: Sequence[Sequence[float | None]],
    step_format: StepFormat,
    *,
    max_length: int,
) -> tuple[list[TokenSolution], CutCount]:
    """Return the records' tokens, and what did not fit.

    Args:
      tokenizer: the model's.
      records: prompts and steps.
      targets: per record and step what is to be learnt, None for nothing.
      step_format: how they are shown.
      max_length: most tokens of a solution; whole steps are cut at its end.

    Raises:
      DataError: nothing is left to learn from.
    """

    @lru_cache(TOKENISED_STEPS_KEPT)
    def prompt(text: str) -> Segment:
        return tuple(step_format.encode_prompt(tokenizer, text))

    @lru_cache(TOKENISED_STEPS_KEPT)
    def step(text: str) -> Segment:
        return tuple(step_format.encode_step(tokenizer, text))

    solutions: list[TokenSolution] = []
    cut = CutCount()
    for record, labels in zip(records, targets, strict=True):
        whole = TokenSolution(
            (prompt(record.prompt), *map(step, record.completions)),
            _weighted(labels, record.weights),
        )
        kept = _cut(whole, max_length)
        num_cut = sum(label is not None for label in whole.labels[len(kept.labels) :])
        cut.solutions += len(kept.labels) < len(whole.labels)
        cut.steps += num_cut
        if any(label is not None for label in kept.labels):
            solutions.append(kept)
        else:
            cut.lost += num_cut > 0
    if not solutions:
        raise DataError(
            f"none of the {len(records)} solutions has a labelled step within {max_length} tokens; "
            "raise --max-length, or check the data with: stepnav data inspect FILE"
        )
    return solutions, cut


def _weighted(
    targets: Sequence[float | None], weights: Sequence[float | None] | None
) -> tuple[Label | None, ...]:
    """Return a record's labels; one without a weight counts 1."""
    return tuple(
        None if target is None else Label(target, 1.0 if weight is None else weight)
        for target, weight in zip(targets, weights or [None] * len(targets), strict=True)
    )


def _cut(solution: TokenSolution, max_length: int) -> TokenSolution:
    total = 0
    for number, segment in enumerate(solution.segments):
        total += len(segment)
        if total > max_length:
            steps = max(0, number - 1)
            return TokenSolution(solution.segments[: steps + 1], solution.labels[:steps])
    return solution


@dataclass(frozen=True, slots=True)
class Tree:
    """Tokens in depth-first order; a plain solution is a tree without branches.

    Attributes:
      ids: the tokens.
      positions: how many ancestors each has.
      ends: one past the last descendant of each.
      marks: what is to be learnt where, as often as solutions say so.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    ends: tuple[int, ...]
    marks: tuple[Mark, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_branches(self) -> bool:
        """Whether some token is no ancestor of the last one."""
        return min(self.ends) < len(self.ids)


@dataclass(slots=True)
class _Node:
    """One segment, with what follows it in any solution."""

    segment: Segment
    labels: list[Label] = field(default_factory=list)
    children: dict[Segment, _Node] = field(default_factory=dict)


def group_solutions(
    solutions: Iterable[TokenSolution], *, max_tokens: int
) -> list[list[TokenSolution]]:
    """Return consecutive solutions of the same prompt together, as long as their tree has room.

    Args:
      solutions: in the order of the file.
      max_tokens: most tokens of a tree; a longer solution gets a tree of its own.
    """
    groups: list[list[TokenSolution]] = []
    root = _Node(())
    size = 0
    for solution in solutions:
        new = _num_new(root, solution)
        if groups and solution.segments[0] in root.children and size + new <= max_tokens:
            groups[-1].append(solution)
            size += new
        else:
            groups.append([solution])
            root, size = _Node(()), solution.num_tokens
        _insert(root, solution)
    return groups


def grow_tree(solutions: Sequence[TokenSolution]) -> Tree:
    """Return the tree of solutions that share a prompt."""
    root = _Node(())
    for solution in solutions:
        _insert(root, solution)
    (trunk,) = root.children.values()
    ids: list[int] = []
    positions: list[int] = []
    ends: list[int] = []
    marks: list[Mark] = []
    # a segment is entered, its children follow, then it is left and its end is known
    stack: list[tuple[_Node, int, int | None]] = [(trunk, 0, None)]
    while stack:
        node, depth, start = stack.pop()
        if start is not None:
            ends[start : start + len(node.segment)] = [len(ids)] * len(node.segment)
            continue
        stack.append((node, depth, len(ids)))
        below = depth + len(node.segment)
        ids += node.segment
        positions += range(depth, below)
        ends += [0] * len(node.segment)
        marks += [Mark(len(ids) - 1, *label) for label in node.labels]
        stack += [(child, below, None) for child in reversed(node.children.values())]
    return Tree(tuple(ids), tuple(positions), tuple(ends), tuple(marks))


def _num_new(root: _Node, solution: TokenSolution) -> int:
    """Return how many tokens a solution would add."""
    node: _Node | None = root
    new = 0
    for segment in solution.segments:
        node = None if node is None else node.children.get(segment)
        new += 0 if node is not None else len(segment)
    return new


def _insert(root: _Node, solution: TokenSolution) -> None:
    node = root
    for segment, label in zip(solution.segments, (None, *solution.labels), strict=True):
        node = node.children.setdefault(segment, _Node(segment))
        if label is not None:
            node.labels.append(label)


def make_groups(
    solutions: Sequence[TokenSolution], max_tree_tokens: int, is_packed: bool
) -> list[list[Tree]]:
    """Return what stays in one batch: a tree, or the same solutions one by one.

    Args:
      solutions: those of one problem after each other.
      max_tree_tokens: most tokens of a tree.
      is_packed: whether trees are used.
    """
    groups = group_solutions(solutions, max_tokens=max_tree_tokens)
    if is_packed:
        return [[grow_tree(group)] for group in groups]
    return [[grow_tree([solution]) for solution in group] for group in groups]
