"""Whether a search's P(right) comes true, and the map that makes it.

The map is beta calibration (Kull, Silva Filho and Flach 2017; `core.chances.as_seen`): Platt's with
a slope for low and one for high chances. A search that found nothing good still guesses right now
and then, so that low ones are flat where high ones are steep. It keeps the order: whatever a search
decides by the raw number stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from stepnav.core.chances import LEAST_CHANCE, as_seen
from stepnav.core.errors import DataError
from stepnav.core.seeds import derive_seed
from stepnav.files.parquet import read_table
from stepnav.measure.extras import load
from stepnav.measure.prm.reliability import calibration_error, reliability_table
from stepnav.measure.stats.cluster import Floats

NUM_BINS = 10
"""Few: a run has some hundreds of searches, not the tens of thousands of Guo et al."""

NUM_DRAWS = 100
"""Sets of outcomes that are drawn to see how far from honest probabilities chance alone leads."""

Map = tuple[float, float, float]
"""Low slope, high slope and offset of `as_seen`."""

OPTIONS = ("right_low_slope", "right_high_slope", "right_offset")
"""The options of `nav` that they are."""

UNCHANGED: Map = (1.0, 1.0, 0.0)

LEAST_RISE = 0.01
"""A map that rises by less from the lowest to the highest chance is flat: it tells nothing, and
what it was made of cannot be told from it."""

NUM_FOLDS = 5
"""Parts of the problems, each judged by a map that was fitted on the others."""


def read_pairs(run: Path, strategy: str) -> tuple[list[str], Floats, Floats, int]:
    """Return the problems, P(right) and correctness of a run's searches by one strategy.

    P(right) is as the search had it, before any map. The last number is how many searches are
    left out: they failed, could not be graded, or found nothing to say it of.

    Raises:
      DataError: there is no such run, it has none, or it had them through a flat map.
    """
    path = run / "results.parquet"
    if not path.exists():
        raise DataError(f"{run} has no results.parquet; make it with: stepnav report {run}")
    every = [row for row in read_table(path) if row["label"] == strategy]
    rows = [
        row for row in every if row.get("right_prob") is not None and row["correct"] is not None
    ]
    if not rows:
        raise DataError(f"{run} has no search by {strategy} that says how likely it is right")
    return (
        [row["problem_id"] for row in rows],
        np.array([unmapped(row["right_prob"], json.loads(row["options"])) for row in rows]),
        np.array([float(row["correct"]) for row in rows]),
        len(every) - len(rows),
    )


def is_flat(found: Map) -> bool:
    """Return whether a map gives all chances about the same."""
    return as_seen(1 - LEAST_CHANCE, *found) - as_seen(LEAST_CHANCE, *found) < LEAST_RISE


def unmapped(prob: float, options: Mapping[str, Any]) -> float:
    """Return the chance that the map among a search's options made this of.

    Raises:
      DataError: the map is flat.
    """
    low, high, offset = (options.get(name, plain) for name, plain in zip(OPTIONS, UNCHANGED))
    if (low, high, offset) == UNCHANGED:
        return prob
    if is_flat((low, high, offset)):
        raise DataError(
            f"the searches had their P(right) through a flat map ({', '.join(OPTIONS)} = {low}, "
            f"{high}, {offset}), which hides what it was made of; bench anew without these options"
        )
    return _inverse(low, high, offset)(prob)


@cache
def _inverse(low: float, high: float, offset: float) -> Callable[[float], float]:
    chances = 1 / (1 + np.exp(-np.linspace(-7, 7, 2001)))
    seen = [as_seen(chance, low, high, offset) for chance in chances]
    return lambda prob: float(np.interp(prob, seen, chances))


def fit_right(probs: Floats, correct: Floats) -> Map:
    """Return the map with the lowest loss; no slope is negative.

    A prior of one right and one wrong search at either end keeps it finite.
    """
    ends = np.array([0.01, 0.01, 0.99, 0.99])
    inside = np.clip(np.concatenate([probs, ends]), LEAST_CHANCE, 1 - LEAST_CHANCE)
    wanted = np.concatenate([correct, [0.0, 1.0, 0.0, 1.0]])
    features = np.stack([np.log(inside), -np.log1p(-inside), np.ones(len(inside))])

    def loss(weights: Floats) -> float:
        found = weights @ features
        return float(np.mean(np.logaddexp(0, found) - wanted * found))

    bounds = [(0, 20), (0, 20), (-20, 20)]
    low, high, offset = load("scipy.optimize").minimize(loss, UNCHANGED, bounds=bounds).x
    return float(low), float(high), float(offset)


def held_out(problems: Sequence[str], probs: Floats, correct: Floats, seed: int) -> Floats:
    """Return each search's P(right) by a map fitted on the other parts of the problems."""
    names = sorted(set(problems), key=lambda name: derive_seed(seed, "right", name))
    part_of = {name: number % NUM_FOLDS for number, name in enumerate(names)}
    parts = np.array([part_of[name] for name in problems])
    result: Floats = probs.copy()
    for part in set(parts.tolist()):
        inside = parts == part
        if not inside.all():
            fitted = fit_right(probs[~inside], correct[~inside])
            result[inside] = [as_seen(prob, *fitted) for prob in probs[inside]]
    return result


def describe(probs: Floats, correct: Floats) -> dict[str, Any]:
    """Return how far probabilities are from frequencies.

    `honest_ece` is the mean error of probabilities that are all true, on so few searches: what is
    not above it shows no fault.
    """
    bins = reliability_table(probs, correct > 0, NUM_BINS)
    rng = np.random.default_rng(0)
    honest = [
        calibration_error(reliability_table(probs, rng.uniform(size=len(probs)) < probs, NUM_BINS))
        for _ in range(NUM_DRAWS)
    ]
    return {
        "searches": len(probs),
        "mean": float(probs.mean()),
        "correct": float(correct.mean()),
        "ece": calibration_error(bins),
        "honest_ece": sum(value or 0.0 for value in honest) / NUM_DRAWS,
        "brier": float(np.mean((probs - correct) ** 2)),
        "bins": [asdict(row) for row in bins],
    }


def plot_right(parts: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return a reliability plot as PNG: bins by area, the diagonal for comparison."""
    from io import BytesIO

    pyplot = load("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(4.5, 4.5))
    axes.plot([0, 1], [0, 1], color="#aaaaaa", linewidth=1)
    for name, part in parts.items():
        rows = [row for row in part["bins"] if row["count"]]
        axes.scatter(
            [row["confidence"] for row in rows],
            [row["frequency"] for row in rows],
            s=[4 + 400 * row["count"] / part["searches"] for row in rows],
            alpha=0.7,
            label=f"{name}: ECE {100 * part['ece']:.1f}%",
        )
    axes.set_xlabel("P(right), mean of the bin")
    axes.set_ylabel("share that is right")
    axes.legend(frameon=False, fontsize=9)
    place = BytesIO()
    figure.savefig(place, format="png", dpi=120, bbox_inches="tight")
    pyplot.close(figure)
    return place.getvalue()
