"""Solutions as searches draw them: a second round of labels for the reward model.

A search draws late and again where the reward model said no, so that its steps are not those of
the policy's own samples: a model that learned from samples only rejects one in five of the right
steps that are drawn sixth or later. Hence one round of DAgger (Ross et al. 2011, arXiv 1011.0686),
in which the task's checker is the expert.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from stepnav.core.backend import Backend
from stepnav.core.budget import Budget
from stepnav.core.records import Problem
from stepnav.core.strategy import Strategy
from stepnav.core.tree import Tree
from stepnav.labels.records import StepRecord
from stepnav.zoo.domain import Count, Sampler

BUDGET_TOKENS = 600
"""Of the policy, for each search."""
OPTIONS = {"stop": 0.9, "temperature": 1.0, "likelihood": 1.0, "neutral": 0.3, "max_ends": 1}
"""Of `nav`, which so goes on for longer, into the steps that the labels are wanted for; by name, as
a recipe does not follow the defaults."""


def search_sampler(policy: Path, prm: Path, *, seed: int) -> Sampler:
    """Return what gives all paths of one search of each problem, finished or not.

    Args:
      policy, prm: folders of the models.
      seed: seeds the searches.
    """

    def sample(problems: Sequence[Problem], progress: Count) -> list[list[str]]:
        from stepnav.policies.local import LocalPolicy
        from stepnav.rewards.families.prm import PRM
        from stepnav.rewards.local.reward import LocalReward
        from stepnav.run.driver import Driver
        from stepnav.run.search import Search
        from stepnav.search.nav import nav

        strategy = Strategy("nav", OPTIONS, function=nav).for_budget(BUDGET_TOKENS)
        budget = Budget(policy_tokens=BUDGET_TOKENS)
        searches = [Search(p.id, strategy, p, str.strip, budget, seed) for p in problems]
        models: dict[str, Backend] = {
            "policy": LocalPolicy(policy, device="cpu"),
            "reward": LocalReward.open(PRM, prm, device="cpu"),
        }
        paths: dict[str, list[str]] = {}
        for done, result in enumerate(Driver(models).run(searches), 1):
            progress(done, len(problems))
            paths[result.problem_id] = _paths(result.tree)
        return [paths[problem.id] for problem in problems]

    return sample


def _paths(tree: Tree) -> list[str]:
    """Return the text of every path from the problem to a node without children."""
    return [node.trajectory.text for node in tree.nodes if node.depth and not node.children]


def labelled_once(records: Iterable[StepRecord]) -> list[StepRecord]:
    """Return records in which a step that several of them begin with is labelled in the first only.

    Those without a label left are dropped.
    """
    seen: set[tuple[str, tuple[str, ...]]] = set()
    found = []
    for record in records:
        keys = [(record.prompt, record.completions[: n + 1]) for n in range(len(record.labels))]
        labels = tuple(
            None if key in seen else label for key, label in zip(keys, record.labels, strict=True)
        )
        seen.update(keys)
        if any(label is not None for label in labels):
            found.append(replace(record, labels=labels))
    return found
