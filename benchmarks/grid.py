"""Where search pays: policies of several strengths by reward models of several qualities.

    python benchmarks/grid.py --out runs/results/grid [--problems 60] [--budget 500]

The policy is the shipped one at five temperatures: the higher, the less often a sample is right.
The reward model is simulated: it knows which steps are wrong, misses a given share of them and
rejects a given share of the others, always the same ones. Each cell compares HGS, nav, best-of-N
and weighted vote at equal policy tokens with one sample. Every search is journaled: the same
command goes on after a kill, and more problems are a folder of their own.

The law: the log-odds of a strategy's being right, less those of one sample, as a linear function of
the latter, of miss and rejection rates and their products. It is fitted by least squares to all
cells but those of a held-out diagonal, on which its error is measured. Writes `grid.json` and
`grid.png`.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

import stepnav
from stepnav import build
from stepnav.core.records import StepScore, Trajectory
from stepnav.measure.extras import load
from stepnav.rewards.scripted import ScriptedReward

TASK = "arithmetic"
TEMPERATURES = (0.6, 0.8, 1.0, 1.2, 1.4)
QUALITIES = ((0.0, 0.0), (0.05, 0.02), (0.15, 0.05), (0.3, 0.1), (0.5, 0.2))
"""Share of the wrong steps that are missed, and of the others that are rejected."""
SEARCHES = ("hgs", "nav", "best_of_n", "weighted_vote")
DARK = 35
"""Points from which the table's colour is too dark for black figures."""
SURE = 0.9
"""P(right) of a step that the reward model accepts; of a rejected one it is 1 less that."""


def share(*parts: object) -> float:
    """Return a number in [0, 1) that is always the same for the same parts."""
    digest = blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def accepts(step: Sequence[str], is_right: bool, miss: float, reject: float) -> bool:
    """Return whether a simulated reward model with these rates accepts a step.

    Args:
      step: the problem, the steps before it, and itself.
      is_right: whether the step is not wrong.
      miss, reject: shares of the wrong steps that are missed, and of the others that are rejected.
    """
    return share(*step) >= reject if is_right else share(*step) < miss


def simulated(miss: float, reject: float) -> ScriptedReward:
    """Return a reward model with these rates; the closer to them, the more steps it rates."""
    rate_steps = build.load_task(TASK).rate_steps
    assert rate_steps is not None, "the task has an exact checker"

    def rate(trajectory: Trajectory) -> StepScore:
        texts = [step.text for step in trajectory.steps]
        is_right = rate_steps(trajectory.problem, texts)[-1] >= 0
        value = (
            SURE if accepts((trajectory.problem.id, *texts), is_right, miss, reject) else 1 - SURE
        )
        return StepScore(1 - value, 0.0, value)

    return ScriptedReward(rate)


def run_cell(policy: Any, temperature: float, quality: tuple[float, float], args: Any) -> list[Any]:
    """Return the rows of one policy with one reward model: one sample, and the searches."""
    texts = [f"cot:temperature={temperature}"]
    for name in SEARCHES:
        greedy = ":first_greedy=false" if name in ("hgs", "nav") else ""  # it knows no temperature
        texts.append(f"{name}:temperature={temperature}{greedy}")
    found = stepnav.bench(
        TASK,
        texts,
        policy=policy,
        reward=simulated(*quality),
        budgets=[args.budget],
        count=args.problems,
        split="dev",
        seed=args.seed,
        out=args.out / f"T{temperature}-miss{quality[0]}-reject{quality[1]}",
        max_active=192,
    )
    return list(found.rows)


def cell(rows: Sequence[Any], temperature: float, quality: tuple[float, float]) -> dict[str, Any]:
    """Return the share of right answers of each strategy."""
    right: dict[str, list[bool]] = {}
    tokens: dict[str, list[int]] = {}
    for row in rows:
        right.setdefault(row.strategy, []).append(row.correct is True)
        tokens.setdefault(row.strategy, []).append(row.policy_tokens)
    return {
        "temperature": temperature,
        "miss": quality[0],
        "reject": quality[1],
        "problems": len(right["cot"]),
        "accuracy": {name: sum(values) / len(values) for name, values in right.items()},
        "policy_tokens": {name: sum(values) / len(values) for name, values in tokens.items()},
    }


def log_odds(accuracy: float, problems: int) -> float:
    """Return the log-odds of a share, half a problem away from none and all."""
    return math.log((accuracy * problems + 0.5) / ((1 - accuracy) * problems + 0.5))


def features(one: dict[str, Any]) -> list[float]:
    """Return what the law is linear in."""
    policy = log_odds(one["accuracy"]["cot"], one["problems"])
    miss, reject = one["miss"], one["reject"]
    return [1.0, policy, miss, reject, policy * miss, policy * reject, miss * reject]


NAMES = ("1", "policy", "miss", "reject", "policy*miss", "policy*reject", "miss*reject")


def fit(cells: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the law of one strategy and its error on cells that it did not see."""
    held = [index % len(QUALITIES) == index // len(QUALITIES) for index in range(len(cells))]
    x = np.array([features(one) for one in cells])
    base = x[:, 1]
    y = np.array([log_odds(one["accuracy"][name], one["problems"]) for one in cells]) - base
    seen = ~np.array(held)
    weights = np.linalg.lstsq(x[seen], y[seen], rcond=None)[0]
    share_of = 1 / (1 + np.exp(-(x @ weights + base)))
    actual = np.array([one["accuracy"][name] for one in cells])
    apart = np.abs(share_of - actual)
    spread = np.abs(actual[~seen] - actual[seen].mean())
    return {
        "weights": dict(zip(NAMES, map(float, weights))),
        "mean_error_seen": float(apart[seen].mean()),
        "mean_error_held_out": float(apart[~seen].mean()),
        "mean_error_of_the_mean": float(spread.mean()),
        "cells_held_out": int((~seen).sum()),
        "predicted": [float(value) for value in share_of],
    }


def plot(path: Path, cells: Sequence[dict[str, Any]], laws: dict[str, Any], title: str) -> None:
    """Draw each strategy's gain over one sample as a table of colours, and law against fact."""
    figure = load("matplotlib.figure").Figure(figsize=(16, 3.8), layout="constrained")
    strengths = [
        np.mean([one["accuracy"]["cot"] for one in cells if one["temperature"] == temperature])
        for temperature in TEMPERATURES
    ]
    shape = (len(TEMPERATURES), len(QUALITIES))
    for place, name in enumerate(SEARCHES):
        axes = figure.add_subplot(1, len(SEARCHES) + 1, place + 1)
        gains = [100 * (one["accuracy"][name] - one["accuracy"]["cot"]) for one in cells]
        table = np.array(gains).reshape(shape)
        axes.imshow(table, cmap="RdBu", vmin=-60, vmax=60, aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            ink = "white" if abs(value) > DARK else "black"
            text = f"{value:+.0f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=9, color=ink)
        axes.set_xticks(range(shape[1]), [f"{100 * m:.0f}/{100 * r:.0f}" for m, r in QUALITIES])
        axes.set_yticks(range(shape[0]), [f"{100 * value:.0f}%" for value in strengths])
        axes.set_title(f"{name}: points gained", loc="left", fontsize=10)
        axes.set_xlabel("% of errors missed / of others rejected")
        if place == 0:
            axes.set_ylabel(f"{title}\none sample is right")
    axes = figure.add_subplot(1, len(SEARCHES) + 1, len(SEARCHES) + 1)
    for name in SEARCHES:
        actual = [100 * one["accuracy"][name] for one in cells]
        predicted = [100 * value for value in laws[name]["predicted"]]
        axes.plot(predicted, actual, "o", markersize=4, label=name)
    axes.plot([0, 100], [0, 100], color="#999999", linewidth=0.8)
    axes.set_xlabel("law, %")
    axes.set_ylabel("measured, %")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=160, metadata={"Software": None})


def tell(cells: Sequence[dict[str, Any]], laws: dict[str, Any], say: Callable[[str], None]) -> None:
    for one in cells:
        shares = ", ".join(f"{name} {100 * v:.1f}" for name, v in one["accuracy"].items())
        say(f"T {one['temperature']}, missed {one['miss']}, rejected {one['reject']}: {shares}")
    for name, law in laws.items():
        terms = " ".join(f"{value:+.2f} {term}" for term, value in law["weights"].items())
        say(
            f"{name}: gain in log-odds = {terms}; held-out error "
            f"{100 * law['mean_error_held_out']:.1f} points (of the seen cells "
            f"{100 * law['mean_error_seen']:.1f}, of their mean "
            f"{100 * law['mean_error_of_the_mean']:.1f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--budget", type=int, default=500)
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()
    cells = []
    num = len(TEMPERATURES) * len(QUALITIES)
    searches = num * (1 + len(SEARCHES)) * args.problems
    print(f"{searches:,} searches, at most {searches * args.budget:,} policy tokens", flush=True)
    with build.open_models(policy=TASK, reward=None, task=build.load_task(TASK)) as models:
        for temperature in TEMPERATURES:
            for quality in QUALITIES:
                rows = run_cell(models.policy, temperature, quality, args)
                cells.append(cell(rows, temperature, quality))
                print(f"{len(cells)} of {num} cells", flush=True)
    laws = {name: fit(cells, name) for name in SEARCHES}
    found = {"budget": args.budget, "seed": args.seed, "cells": cells, "laws": laws}
    (args.out / "grid.json").write_text(json.dumps(found, indent=1) + "\n")
    title = f"{TASK}, {args.budget} tokens, {args.problems} problems"
    plot(args.out / "grid.png", cells, laws, title)
    tell(cells, laws, print)


if __name__ == "__main__":
    main()
