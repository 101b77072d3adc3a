"""Trees that tests draw."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from stepnav.core.budget import Usage
from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.records import Problem, Step, StepScore
from stepnav.core.tree import Node, Tree

PROBLEM = Problem("p1", "Tom has 3 bags with 4 apples each.\nHe eats 2. How many are left?", "10")
GOOD, NEUTRAL, BAD = StepScore(0.01, 0.01, 0.98), StepScore(0.1, 0.7, 0.2), StepScore(0.97, 0, 0.03)


def grow(tree: Tree, parent: Node, text: str, score: StepScore, status: Any) -> Node:
    """Add a step as hgs does: proposed, then rated, then marked."""
    node = tree.add(parent, Step(text, "end" if text.startswith("####") else "step", 5))
    node.score = score
    tree.mark(node, status)
    return node


def backtracking_tree(on_change: Any = None) -> Tree:
    """Return a tree in which a step is dropped, a neutral one taken up, and an answer found."""
    tree = Tree(PROBLEM, on_change)
    aside = grow(tree, tree.root, "Tom likes apples.\n", NEUTRAL, "neutral")
    wrong = grow(tree, tree.root, "He has 3 + 4 = 7 apples.\n", GOOD, "accepted")
    leaf = grow(tree, wrong, "#### 5", BAD, "dead")
    leaf.duplicates += 2
    tree.mark(wrong, "dead")
    tree.mark(aside, "accepted")
    right = grow(tree, aside, "3 * 4 - 2 = 10.\n", GOOD, "accepted")
    end = grow(tree, right, "#### 10", GOOD, "accepted")
    tree.mark_path(end, "chosen")
    return tree


def code_tree(on_change: Any = None) -> Tree:
    """Return a tree of a program that forks after its second line, the first branch chosen."""
    problem = Problem("f", "def f(x):\n    # one more\n", "    return x + 1", {"entry_point": "f"})
    tree = Tree(problem, on_change)
    first = grow(tree, tree.root, "    if x is None:\n", GOOD, "accepted")
    second = grow(tree, first, "        x = 0\n", GOOD, "accepted")
    grow(tree, second, "    return x\n", BAD, "dead")
    end = tree.add(second, Step("    return x + 1", "end"), GOOD)
    tree.mark_path(end, "chosen")
    return tree


def result_of(tree: Tree, **changes: Any) -> SearchResult:
    outcome = Outcome(
        tree.nodes[-1].trajectory if len(tree.nodes) > 1 else None,
        changes.pop("stop_reason", "accepted"),
        counts=changes.pop("counts", {"iterations": 7, "backtracks": 1, "fallbacks": 0}),
        votes=changes.pop("votes", {}),
    )
    values: dict[str, Any] = {
        "search_id": "s", "strategy": "hgs", "options": {"children": 8}, "problem_id": "p1",
        "seed": 0, "answer": "10", "outcome": outcome, "tree": tree, "requests": 12,
        "usage": Usage(
            policy_calls=7, policy_tokens=1234, reward_calls=5, reward_tokens=56, seconds=0.5,
            flops=3_200_000_000,
        ),
    }  # fmt: skip
    return SearchResult(**{**values, **changes})


def pipe(encoding: str = "utf-8") -> Console:
    """Return a console that is not a terminal."""
    return Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding), highlight=False)


def terminal(width: int = 80) -> Console:
    """Return a console that is a terminal with colours."""
    return Console(
        file=io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), width=width, force_terminal=True,
        color_system="standard", legacy_windows=False,
    )  # fmt: skip


def printed(console: Console) -> str:
    file: Any = console.file
    file.flush()
    return str(file.buffer.getvalue().decode(file.encoding))
