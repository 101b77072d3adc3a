"""The settings that `stepnav tune` tries for each strategy, and those as published.

A line of the table is the part of `NAME:OPTION=VALUE:OPTION=VALUE` after the name; the empty one is
the strategy as it stands, `published` what its docstring calls so. The first stays unless another
is better by more than a standard error.
"""

from __future__ import annotations

from collections.abc import Mapping

PUBLISHED: Mapping[str, str] = {
    "beam": "wide_start=true:aggregation=last:answer=vote:replace=true:first_greedy=false",
    "dvts": "replace=true",
    "rebase": "replace=true:first_greedy=false",
    "vgb": "replace=true:first_greedy=false",
    "pool": "replace=true:first_greedy=false",
    "tot": "replace=true:first_greedy=false",
    "rap": "replace=true:first_greedy=false",
    "hgs": "replace=true:first_greedy=false",
}
"""Strategies whose defaults differ from the paper's, and the options that undo it."""

GRID: Mapping[str, tuple[str, ...]] = {
    "cot": ("",),
    "self_consistency": ("", "temperature=0.7", "temperature=0.5", "temperature=0.3"),
    "best_of_n": (
        "", "temperature=0.7", "temperature=0.5", "aggregation=min", "aggregation=last",
        "temperature=0.7:aggregation=min",
    ),
    "weighted_vote": (
        "", "temperature=0.7", "temperature=0.5", "aggregation=min", "aggregation=last",
        "temperature=0.7:aggregation=min",
    ),
    "beam": (
        "", "published", "temperature=0.5", "beam_size=1:branching=4", "beam_size=1:branching=8",
        "beam_size=2:branching=2", "beam_size=2:branching=4", "answer=vote", "lookahead=1",
    ),
    "dvts": (
        "", "published", "temperature=0.5", "branching=2", "branching=8", "aggregation=prod",
        "answer=vote", "branching=2:aggregation=prod:answer=vote",
    ),
    "rebase": (
        "", "published", "temperature=0.5", "width=4", "width=8", "width=32", "aggregation=prod",
        "width=8:aggregation=prod",
    ),
    "nav": (
        "", "temperature=0.7", "temperature=1.0:likelihood=1.0", "stop=0.3", "stop=0.7",
        "stop=0.9:max_draws=400", "slope=1.5", "likelihood=0.3", "offset=0", "offset=2",
    ),
    "particle": (
        "", "temperature=0.5", "num_particles=4", "num_particles=16", "answer=vote", "balance=0.5",
        "entropic=true", "num_particles=4:balance=0.5",
    ),
    "vgb": (
        "", "published", "temperature=0.5", "branching=2", "branching=8", "answer=best",
        "max_moves=400",
    ),
    "pool": (
        "", "published", "temperature=0.5", "beam_size=1", "beam_size=1:branching=8",
        "aggregation=prod", "answer=best", "choice=power",
    ),
    "tot": (
        "", "published", "temperature=0.5", "beam_size=1:branching=8", "beam_size=2:branching=4",
        "beam_size=3:branching=3", "answer=vote", "order=depth", "order=depth:threshold=0.1",
    ),
    "rap": (
        "", "published", "temperature=0.5", "branching=2", "branching=8", "exploration=0.3",
        "answer=vote",
    ),
    "astar": (
        "", "temperature=0.5", "branching=2", "branching=8", "horizon=5", "index=gittins",
        "index=gittins:token_price=0.0001",
    ),
    "ab_mcts": ("", "answer=vote", "prior=0.1", "temperature=0.7", "aggregation=last"),
    "hgs": (
        "", "published", "published:temperature=1.0", "temperature=0.7", "temperature=1.0",
        "branching=4", "branching=16", "branching=16:max_draws=400", "neutral_order=value",
    ),
}  # fmt: skip
"""Strategy -> settings, declared on the dev split."""


def candidates(text: str) -> list[str]:
    """Return the settings to try for what a user names: a strategy's grid, or the text itself.

    Example:
      >>> candidates("dvts")[:3], candidates("hgs:branching=4")
      (['dvts', 'dvts:published', 'dvts:temperature=0.5'], ['hgs:branching=4'])
    """
    return [f"{text}:{settings}".rstrip(":") for settings in GRID.get(text, ("",))]
