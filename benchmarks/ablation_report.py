"""What the models of `ablations.py` come to: offline figures beside what a search gains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ablation_data import FEW

from stepnav.measure.stats.cluster import Clusters, ratio

Found = dict[str, Any]

CONFIG = ("head", "base", "labels", "boundary")
USUAL = {"head": "three", "base": "finished", "labels": 10_000, "boundary": "line"}
SHIPPED = "shipped"
OFFLINE = {
    "f1": "first-error F1, threshold chosen",
    "f1_by_rating": "first-error F1, own rating",
    "missed": "first errors missed",
    "rejected": "right steps rejected",
    "auroc": "AUROC of wrong steps",
    "ece": "ECE of P(wrong)",
    "solution_auroc": "AUROC of right solutions",
}
"""Offline figures, and what the tables call them."""
RESAMPLES = 2000
PARTS = ("all", "few", "many")


def offline(cell: Found) -> dict[str, float | None]:
    """Return a cell's offline figures, all in [0, 1]."""
    first, best = cell["offline"]["first-errors"], cell["offline"]["best-of-n"]
    steps = cell["offline"]["steps"]
    by = "last" if cell["head"] == "orm" else "prod"
    return {
        "f1": (first["by_threshold"] or {"f1": {"value": None}})["f1"]["value"],
        "f1_by_rating": first["by_rating_all"]["f1"]["value"],
        "missed": steps["first_errors"]["misses"]["value"],
        "rejected": steps["first_errors"]["false_rejections"]["value"],
        "auroc": steps["negative"]["auroc"]["value"],
        "ece": steps["calibration"]["negative"]["ece"]["value"],
        "solution_auroc": best["auroc"][by]["value"],
    }


def missed_by_part(cell: Found) -> dict[str, float | None]:
    """Return first errors missed and right steps rejected, of easier and harder problems."""
    return {
        f"{name}, {part}": cell["offline"][f"steps of {part}"]["first_errors"][key]["value"]
        for name, key in (("missed", "misses"), ("rejected", "false_rejections"))
        for part in ("few", "many")
    }


def is_part(row: Found, part: str) -> bool:
    """Return whether a row is of an easier (few calculations) or a harder problem."""
    return part == "all" or (part == "few") == (row["calculations"] < FEW)


def rows_of(cell: Found, strategy: str, budget: int, part: str = "all") -> list[Found]:
    return [
        row
        for row in cell["rows"]
        if (row["strategy"], row["budget"]) == (strategy, budget) and is_part(row, part)
    ]


def right_of(rows: Sequence[Found]) -> Found:
    """Return the share that is right; problems are resampled, with all their seeds."""
    clusters = Clusters.of_keys([row["problem"] for row in rows])
    counts = clusters.sums([1.0] * len(rows))
    return clusters.estimate(ratio(clusters.sums([row["right"] for row in rows]), counts)).to_json()


def gain_of(rows: Sequence[Found]) -> Found:
    """Return how much more is right than before, on the same problems."""
    return right_of([{**row, "right": row["right"] - row["before"]} for row in rows])


def searches(cells: Sequence[Found]) -> list[tuple[str, int]]:
    """Return the strategies and budgets that were run, as columns stand."""
    found = {(row["strategy"], row["budget"]) for cell in cells for row in cell["rows"]}
    return sorted(found, key=lambda pair: (pair[0] == "best_of_n", *pair))


def summary(cells: Sequence[Found]) -> list[Found]:
    """Return one row for each configuration: means over seeds, and searches of all seeds."""
    by_config: dict[tuple[Any, ...], list[Found]] = {}
    for cell in cells:
        by_config.setdefault(tuple(cell[name] for name in CONFIG), []).append(cell)
    return [
        {
            **dict(zip(CONFIG, config, strict=True)),
            "seeds": len(own),
            "training": [cell["training"] for cell in own],
            "offline": spread([offline(cell) for cell in own]),
            "by_part": spread([missed_by_part(cell) for cell in own]),
            "searches": [
                searched(own, strategy, budget, part)
                for strategy, budget in searches(own)
                for part in PARTS
            ],
        }
        for config, own in by_config.items()
    ]


def spread(figures: Sequence[dict[str, float | None]]) -> dict[str, Found]:
    """Return each figure's mean over the seeds, and its least and most."""
    found = {}
    for name in figures[0]:
        values = [value for one in figures if (value := one[name]) is not None]
        found[name] = {
            "mean": sum(values) / len(values) if values else None,
            "least": min(values, default=None),
            "most": max(values, default=None),
        }
    return found


def searched(own: Sequence[Found], strategy: str, budget: int, part: str) -> Found:
    """Return what all seeds of a configuration come to in one kind of search."""
    rows = [row for cell in own for row in rows_of(cell, strategy, budget, part)]
    return {
        "strategy": strategy,
        "budget": budget,
        "part": part,
        "right": right_of(rows),
        "gain": gain_of(rows),
    }


def correlations(cells: Sequence[Found]) -> list[Found]:
    """Return how well each offline figure orders the models as their gains do (Spearman).

    Models read in steps of two lines, and the shipped one, are left out: the first have other
    figures, the second another recipe. Intervals resample configurations, with all their seeds.
    """
    kept = [one for one in cells if one["boundary"] != "two lines" and one["base"] != SHIPPED]
    keys = [str([cell[name] for name in CONFIG]) for cell in kept]
    figures = [offline(cell) for cell in kept]
    found = []
    for name in OFFLINE:
        for strategy, budget in searches(kept):
            gains = [gain_of(rows_of(cell, strategy, budget))["value"] for cell in kept]
            value, interval = rank_correlation([one[name] for one in figures], gains, keys)
            found.append(
                {
                    "figure": name,
                    "strategy": strategy,
                    "budget": budget,
                    "models": len(kept),
                    "configurations": len(set(keys)),
                    "spearman": value,
                    "ci95": interval,
                }
            )
    return found


def rank_correlation(
    first: Sequence[float | None], second: Sequence[float], keys: Sequence[str]
) -> tuple[float | None, list[float] | None]:
    """Return Spearman's correlation with a percentile interval; None where it is undefined.

    Args:
      first, second: a figure of each model; a model without one is left out.
      keys: what resampling draws together.
    """
    kept = [number for number, value in enumerate(first) if value is not None]
    pairs = np.array([[first[n], second[n]] for n in kept], dtype=float).reshape(-1, 2)
    value = spearman(pairs)
    if value is None:
        return None, None
    members: dict[str, list[int]] = {}
    for place, number in enumerate(kept):
        members.setdefault(keys[number], []).append(place)
    groups = list(members.values())
    rng = np.random.default_rng(0)
    draws = rng.integers(len(groups), size=(RESAMPLES, len(groups)))
    resampled = [spearman(pairs[[p for n in draw for p in groups[n]]]) for draw in draws]
    defined = [one for one in resampled if one is not None]
    if len(defined) < RESAMPLES / 2:
        return value, None
    return value, [float(end) for end in np.quantile(defined, [0.025, 0.975])]


def spearman(pairs: Any) -> float | None:
    """Return Spearman's correlation of two columns; None where one is constant."""
    from scipy.stats import spearmanr

    if len(pairs) < 3 or (np.ptp(pairs, axis=0) == 0).any():
        return None
    return float(spearmanr(*pairs.T).statistic)


def named(strategy: str, budget: int) -> str:
    return f"best of {budget}" if strategy == "best_of_n" else f"{strategy} at {budget:,} tokens"
