"""Golden trees: a strategy, its arguments, a seed and a scripted world give exactly this tree.

Each JSON file holds all of them, in the schema that the tree viewer reads. To accept a change that
is meant, run `python -m tests.search.test_golden` and read the difference before committing it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepnav.core.budget import Budget
from stepnav.core.records import StepScore
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.testing import comparable
from tests.worlds import WITH_REPLACEMENT, make_search, run_one

FOLDER = Path(__file__).parent / "golden"

WORLD = {
    "steps": {
        "": ["12 - 5 = 7\n", "12 + 5 = 17\n", "There are 12 eggs.\n"],
        "12 - 5 = 7\n": ["7 * 2 = 14\n", "7 * 2 = 15\n"],
        "12 - 5 = 7\n7 * 2 = 14\n": ["#### 14", "#### 15"],
        "12 - 5 = 7\n7 * 2 = 15\n": ["#### 15"],
        "12 + 5 = 17\n": ["#### 17", "17 * 2 = 34\n"],
        "12 + 5 = 17\n17 * 2 = 34\n": ["#### 34"],
        "There are 12 eggs.\n": ["12 - 5 = 8\n", "12 + 5 = 17\n"],
    },
    "scores": {
        "12 - 5 = 7": [0.3, 0.3, 0.4],
        "12 + 5 = 17": [0.6, 0.1, 0.3],
        "There are 12 eggs.": [0.1, 0.8, 0.1],
        "12 - 5 = 8": [0.9, 0.05, 0.05],
        "7 * 2 = 14": [0.05, 0.05, 0.9],
        "7 * 2 = 15": [0.8, 0.1, 0.1],
        "17 * 2 = 34": [0.5, 0.2, 0.3],
        "#### 14": [0.02, 0.03, 0.95],
    },
}
CASES: dict[str, tuple[str, dict[str, Any], int, int | None]] = {
    "cot": ("cot", {}, 0, None),
    "self_consistency": ("self_consistency", {"samples": 6}, 1, None),
    "best_of_n": ("best_of_n", {"samples": 5, "aggregation": "min"}, 2, None),
    "weighted_vote_budget": ("weighted_vote", {}, 3, 60),
    "beam": ("beam", {**WITH_REPLACEMENT, "beam_size": 2, "branching": 3}, 4, None),
    "stepwise_best_of_k": ("beam", {**WITH_REPLACEMENT, "beam_size": 1, "branching": 4}, 5, None),
    "beam_as_published": (
        "beam",
        {
            **WITH_REPLACEMENT,
            "beam_size": 2,
            "branching": 3,
            "wide_start": True,
            "aggregation": "last",
            "answer": "vote",
        },
        11,
        None,
    ),
    "beam_lookahead": ("beam", {"beam_size": 2, "branching": 3, "lookahead": 2}, 12, None),
    "dvts": ("dvts", {"replace": True, "num_subtrees": 3, "branching": 2}, 13, None),
    "dvts_budget": ("dvts", {"branching": 3, "answer": "vote"}, 14, 80),
    "particle": ("particle", {"num_particles": 6}, 15, None),
    "particle_entropic": ("particle", {"entropic": True, "answer": "vote"}, 16, None),
    "particle_budget": ("particle", {"num_particles": 4}, 17, 40),
    "vgb": ("vgb", {**WITH_REPLACEMENT, "redraw": True, "branching": 2, "max_moves": 40}, 18, None),
    "vgb_budget": ("vgb", {"branching": 3, "answer": "best"}, 19, 60),
    "pool": ("pool", {**WITH_REPLACEMENT, "beam_size": 2, "branching": 2}, 20, None),
    "pool_power": ("pool", {"choice": "power", "branching": 2}, 21, None),
    "pool_budget": ("pool", {"beam_size": 1, "branching": 3}, 22, 50),
    "rebase": (
        "rebase",
        {**WITH_REPLACEMENT, "width": 6, "balance": 0.5, "aggregation": "mean"},
        7,
        None,
    ),
    "rebase_budget": ("rebase", {**WITH_REPLACEMENT, "width": 8}, 10, 40),
    "tot_breadth": ("tot", {**WITH_REPLACEMENT, "beam_size": 2, "branching": 3}, 11, None),
    "tot_depth_budget": (
        "tot",
        {**WITH_REPLACEMENT, "order": "depth", "branching": 3, "threshold": 0.2},
        12,
        40,
    ),
    "rap": (
        "rap",
        {**WITH_REPLACEMENT, "branching": 3, "samples": 4, "exploration": 0.5},
        13,
        None,
    ),
    "rap_budget": ("rap", {**WITH_REPLACEMENT, "branching": 2, "answer": "vote"}, 14, 50),
    "astar": ("astar", {**WITH_REPLACEMENT, "branching": 3}, 15, None),
    "astar_gittins_budget": (
        "astar",
        {**WITH_REPLACEMENT, "branching": 3, "index": "gittins"},
        16,
        45,
    ),
    "ab_mcts": ("ab_mcts", {"samples": 6}, 17, None),
    "ab_mcts_budget": ("ab_mcts", {"answer": "vote"}, 18, 60),
    "nav": ("nav", {}, 19, None),
    "nav_waves_budget": ("nav", {"width": 3, "stop": 0.8}, 23, 60),
    "hgs_accepted": ("hgs", {**WITH_REPLACEMENT, "branching": 2, "max_draws": 9}, 9, None),
    "hgs_backtracks": ("hgs", {**WITH_REPLACEMENT, "branching": 4}, 6, None),
    "hgs_budget": ("hgs", {**WITH_REPLACEMENT, "branching": 8}, 8, 40),
}


def search_world(case: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a case as JSON values."""
    scores = {text: StepScore(*probs) for text, probs in case["world"]["scores"].items()}
    result = run_one(
        ScriptedPolicy.from_table(case["world"]["steps"]),
        ScriptedReward.from_table(scores, default=-1),
        make_search(
            case["strategy"],
            case["options"],
            budget=Budget(policy_tokens=case["policy_tokens"]),
            seed=case["seed"],
        ),
    )
    return comparable(result)


@pytest.mark.parametrize("name", list(CASES))
def test_golden_tree(name):
    case = json.loads((FOLDER / f"{name}.json").read_text())
    assert json.loads(json.dumps(search_world(case))) == case["result"]


def test_no_golden_file_is_left_over():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CASES)


def main() -> None:
    """Write all golden files anew."""
    FOLDER.mkdir(exist_ok=True)
    for name, (strategy, options, seed, policy_tokens) in CASES.items():
        case = {
            "strategy": strategy,
            "options": options,
            "seed": seed,
            "policy_tokens": policy_tokens,
            "world": WORLD,
        }
        text = json.dumps({**case, "result": search_world(case)}, indent=1)
        (FOLDER / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
