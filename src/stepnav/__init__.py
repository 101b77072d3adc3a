"""stepnav: make language models reason better by rewarding their steps."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from stepnav.build import load_task as load_task
    from stepnav.build import open_reward as open_reward
    from stepnav.core.budget import Budget as Budget
    from stepnav.core.errors import StepnavError as StepnavError
    from stepnav.core.outcome import SearchResult as SearchResult
    from stepnav.core.records import Problem as Problem
    from stepnav.core.strategy import Strategy as Strategy
    from stepnav.core.tree import Tree as Tree
    from stepnav.front.comparing import bench as bench
    from stepnav.front.solving import asolve as asolve
    from stepnav.front.solving import solve as solve
    from stepnav.front.solving import stream as stream
    from stepnav.policies.function import FunctionPolicy as FunctionPolicy
    from stepnav.policies.local import LocalPolicy as LocalPolicy
    from stepnav.policies.openai.backend import OpenAIPolicy as OpenAIPolicy
    from stepnav.policies.scripted import ScriptedPolicy as ScriptedPolicy
    from stepnav.rewards.function import FunctionReward as FunctionReward
    from stepnav.rewards.scripted import ScriptedReward as ScriptedReward
    from stepnav.run.driver import Driver as Driver
    from stepnav.run.search import Search as Search

    ab_mcts: Strategy
    astar: Strategy
    beam: Strategy
    best_of_n: Strategy
    cot: Strategy
    dvts: Strategy
    hgs: Strategy
    nav: Strategy
    particle: Strategy
    pool: Strategy
    rap: Strategy
    rebase: Strategy
    self_consistency: Strategy
    tot: Strategy
    vgb: Strategy
    weighted_vote: Strategy

_PLACES = {
    "Budget": "stepnav.core.budget",
    "Driver": "stepnav.run.driver",
    "FunctionPolicy": "stepnav.policies.function",
    "FunctionReward": "stepnav.rewards.function",
    "LocalPolicy": "stepnav.policies.local",
    "OpenAIPolicy": "stepnav.policies.openai.backend",
    "Problem": "stepnav.core.records",
    "ScriptedPolicy": "stepnav.policies.scripted",
    "ScriptedReward": "stepnav.rewards.scripted",
    "Search": "stepnav.run.search",
    "SearchResult": "stepnav.core.outcome",
    "StepnavError": "stepnav.core.errors",
    "Strategy": "stepnav.core.strategy",
    "Tree": "stepnav.core.tree",
    "asolve": "stepnav.front.solving",
    "bench": "stepnav.front.comparing",
    "load_task": "stepnav.build",
    "open_reward": "stepnav.build",
    "solve": "stepnav.front.solving",
    "stream": "stepnav.front.solving",
}
"""Public name -> the module that holds it, imported when the name is first used."""

_STRATEGIES = (
    *("ab_mcts", "astar", "beam", "best_of_n", "cot", "dvts", "hgs", "nav", "particle", "pool"),
    *("rap", "rebase", "self_consistency", "tot", "vgb", "weighted_vote"),
)
"""Strategies, to be used as they are or with options: `stepnav.hgs(branching=16)`."""

__all__ = sorted([*_PLACES, *_STRATEGIES])


def __getattr__(name: str) -> Any:
    if name in _STRATEGIES:
        found: Any = import_module("stepnav.build").strategy(name)
    elif name in _PLACES:
        found = getattr(import_module(_PLACES[name]), name)
    else:
        raise AttributeError(f"module 'stepnav' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
