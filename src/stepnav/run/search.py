"""What one search is: a strategy, a problem, a budget and a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from stepnav.core.budget import Budget
from stepnav.core.records import Problem
from stepnav.core.strategy import Strategy
from stepnav.core.tree import Node
from stepnav.run.journal import Entry


@dataclass(frozen=True, slots=True)
class Search:
    """One search to run.

    Attributes:
      id: unique within the run.
      strategy: with its options resolved (`Strategy.for_budget`).
      problem: what to solve.
      extract: finds the final answer in a solution's text.
      budget: what it may spend.
      seed: the run's seed for this repetition.
      on_change: follows the tree.
      models: name that the strategy asks -> name of the model that answers it; others are asked as
        they are called.
      answered: what another journal than the driver's holds of it; it is not asked again.
    """

    id: str
    strategy: Strategy
    problem: Problem
    extract: Callable[[str], str | None]
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    on_change: Callable[[Node], None] | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    answered: Sequence[Entry] = ()


class Follower:
    """Tells who follows a tree; what goes wrong there is no fault of the strategy's.

    A result's tree keeps it, and so it holds nothing of the search: no models.

    Attributes:
      error: what was raised there.
    """

    __slots__ = ("_on_change", "error")

    def __init__(self, on_change: Callable[[Node], None]) -> None:
        self._on_change = on_change
        self.error: BaseException | None = None

    def __call__(self, node: Node) -> None:
        """Tell of a node."""
        try:
            self._on_change(node)
        except (Exception, SystemExit) as error:
            self.error = error
            raise
