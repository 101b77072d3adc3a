"""The search tree: every step that was proposed, what it scored and what became of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stepnav.core.records import Problem, Step, StepScore, Trajectory

ROOT_INDEX = 0
NO_PARENT = -1

Status = Literal["open", "accepted", "neutral", "dead", "chosen"]
"""What became of a node.

open: proposed, not decided; accepted: the search went on from it; neutral: kept as a candidate;
dead: rejected or exhausted, never entered again; chosen: on the path that the search returned.
"""


@dataclass(slots=True)
class Node:
    """One step in the tree.

    Attributes:
      index: position in `Tree.nodes`; the root, which has no step, is `ROOT_INDEX`.
      parent: index of the parent; `NO_PARENT` for the root.
      trajectory: the steps from the root to here.
      score: the reward model's score, None if it was not asked.
      status: what became of it.
      duplicates: how many further proposals under the same parent had the same text.
      value: what the strategy thinks of the node, if it computes such a number.
      visits: how often the strategy went through the node, if it counts that.
      children: indices, in order of proposal.
      drawn: all steps that were drawn after this node, in order, duplicates and cut ones included.
      is_exhausted: whether nothing was left to draw after it.
      is_settled: whether the search's solution is sure to go through the node.
    """

    index: int
    parent: int
    trajectory: Trajectory
    score: StepScore | None = None
    status: Status = "open"
    duplicates: int = 0
    value: float | None = None
    visits: int | None = None
    children: list[int] = field(default_factory=list)
    drawn: list[Step] = field(default_factory=list)
    is_exhausted: bool = False
    is_settled: bool = False

    @property
    def step(self) -> Step:
        """The node's own step; the root has none and raises IndexError."""
        return self.trajectory.steps[-1]

    @property
    def depth(self) -> int:
        """Number of steps from the root."""
        return len(self.trajectory.steps)

    @property
    def is_finished(self) -> bool:
        """Whether the step ends the solution."""
        return self.trajectory.is_finished


class Tree:
    """A tree of steps that only grows; strategies add nodes and set what became of them.

    Args:
      problem: what is being solved.
      on_change: called with each node that is added or marked; lets a viewer follow.
    """

    def __init__(self, problem: Problem, on_change: Callable[[Node], None] | None = None) -> None:
        self.problem = problem
        self.nodes: list[Node] = [Node(ROOT_INDEX, NO_PARENT, Trajectory(problem))]
        self._on_change = on_change
        self._child_of: dict[tuple[int, str, str], int] = {}

    @property
    def root(self) -> Node:
        """The node without a step."""
        return self.nodes[ROOT_INDEX]

    def add(self, parent: Node, step: Step, score: StepScore | None = None) -> Node:
        """Return a new child; a sibling with the same text may exist (see `find_child`)."""
        node = Node(len(self.nodes), parent.index, parent.trajectory.extend(step), score)
        self.nodes.append(node)
        parent.children.append(node.index)
        self._child_of.setdefault((parent.index, step.key, step.finish), node.index)
        self._notify(node)
        return node

    def find_child(self, parent: Node, step: Step) -> Node | None:
        """Return the first child of `parent` with the text and finish of `step`, or None."""
        index = self._child_of.get((parent.index, step.key, step.finish))
        return None if index is None else self.nodes[index]

    def logprob(self, node: Node) -> float | None:
        """Return the log-probability of a node's text after its parent, None if it is not known.

        A text that was drawn by several token sequences has the sum of their probabilities.
        """
        step = node.step
        if not node.duplicates:  # the usual case, quickly
            return step.logprob
        drawn = [step, *self.parent(node).drawn]
        ways = {d.way: d.logprob for d in drawn if d.key == step.key and d.finish == step.finish}
        known = [logprob for logprob in ways.values() if logprob is not None]
        total = math.fsum(map(math.exp, known))
        return math.log(total) if len(known) > 1 and total else step.logprob

    def add_trajectory(self, trajectory: Trajectory, *, is_new: bool = True) -> Node:
        """Return the node of the trajectory's last step, adding those steps that are not there.

        Equal prefixes share their nodes.

        Args:
          trajectory: at least one step.
          is_new: whether it was just proposed; if it then is in the tree already, it is a
            duplicate.
        """
        node, has_grown = self.root, False
        for step in trajectory.steps:
            known = self.find_child(node, step)
            if known is None:
                known, has_grown = self.add(node, step), True
            node = known
        if is_new and not has_grown:
            self.count_duplicate(node)
        return node

    def count_duplicate(self, node: Node) -> None:
        """Note that a node was proposed once more."""
        node.duplicates += 1
        self._notify(node)

    def add_scores(self, trajectory: Trajectory, scores: Sequence[StepScore]) -> None:
        """Set the scores of all steps of a trajectory that is in the tree."""
        node = self.root
        for step, score in zip(trajectory.steps, scores):
            child = self.find_child(node, step)
            assert child is not None, "a scored trajectory is not in the tree"
            if child.score != score:
                self.set_score(child, score)
            node = child

    def set_score(self, node: Node, score: StepScore) -> None:
        """Set what the reward model thinks of a node's step."""
        node.score = score
        self._notify(node)

    def set_value(self, node: Node, value: float | None, *, visits: int | None = None) -> None:
        """Set what the strategy thinks of a node, and how often it went through it.

        Raises:
          ValueError: the value is not finite; no journal could hold it.
        """
        if value is not None and not math.isfinite(value):
            raise ValueError(f"a node's value must be a finite number or None (got {value!r:.80})")
        node.value = None if value is None else float(value)  # numpy's numbers too
        node.visits = visits
        self._notify(node)

    def mark(self, node: Node, status: Status) -> None:
        """Set what became of a node."""
        node.status = status
        self._notify(node)

    def mark_path(self, node: Node, status: Status) -> None:
        """Set what became of a node and of all nodes above it, the root left out."""
        for member in self.path(node):
            self.mark(member, status)

    def settle(self, nodes: Sequence[Node]) -> None:
        """Note that the search's solution will go through one of these nodes.

        What their paths share is sure then, and can be shown to somebody who waits.
        """
        for members in zip(*map(self.path, nodes)):
            if any(member is not members[0] for member in members):
                break
            if not members[0].is_settled:
                members[0].is_settled = True
                self._notify(members[0])

    def parent(self, node: Node) -> Node:
        """Return the node above; the root raises ValueError."""
        if node.parent == NO_PARENT:
            raise ValueError("the root has no parent")
        return self.nodes[node.parent]

    def path(self, node: Node) -> list[Node]:
        """Return the nodes from below the root down to `node`."""
        path: list[Node] = []
        while node.parent != NO_PARENT:
            path.append(node)
            node = self.nodes[node.parent]
        return path[::-1]

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy holds; who follows the tree does not follow that."""
        return {**self.__dict__, "_on_change": None}

    def _notify(self, node: Node) -> None:
        if self._on_change is not None:
            self._on_change(node)
