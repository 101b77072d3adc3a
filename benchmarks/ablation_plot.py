"""The plot of `ablations.py`: what labels buy, and offline figures beside gains."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from ablation_report import OFFLINE, SHIPPED, USUAL, gain_of, named, offline, rows_of, searches

FIGURE = "f1"


def plot(rows: Sequence[dict[str, Any]], cells: Sequence[dict[str, Any]]) -> bytes:
    """Return a PNG: gains by number of labels, and gains by first-error F1."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_sizes(left, rows)
    draw_gains(right, cells)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def draw_sizes(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Draw each search's gain, and F1, by the number of labels."""
    names = ("head", "base", "boundary")
    sizes = sorted(
        (row for row in rows if all(row[name] == USUAL[name] for name in names)),
        key=lambda row: int(row["labels"]),
    )
    labels = [row["labels"] for row in sizes]
    means = [row["offline"][FIGURE]["mean"] for row in sizes]
    f1 = [float("nan") if mean is None else 100 * mean for mean in means]
    axes.plot(labels, f1, marker="s", color="0.6", label=OFFLINE[FIGURE])
    kinds = {(one["strategy"], one["budget"]) for row in sizes for one in row["searches"]}
    for kind in sorted(kinds):
        gains = [
            one["gain"]
            for row in sizes
            for one in row["searches"]
            if (one["strategy"], one["budget"]) == kind and one["part"] == "all"
        ]
        values = [100 * gain["value"] for gain in gains]
        ends = [gain["ci95"] or [gain["value"]] * 2 for gain in gains]
        bars = [
            [value - 100 * low for value, (low, _) in zip(values, ends, strict=True)],
            [100 * high - value for value, (_, high) in zip(values, ends, strict=True)],
        ]
        axes.errorbar(
            labels, values, yerr=bars, marker="o", capsize=3, label=f"gain, {named(*kind)}"
        )
    axes.set(xscale="log", xlabel="labels", ylabel="percent; gains in points")
    axes.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.15))


def draw_gains(axes: Any, cells: Sequence[dict[str, Any]]) -> None:
    """Draw each model's gains by its F1; the shipped one is hollow."""
    kept = [cell for cell in cells if cell["boundary"] != "two lines"]
    for color, (strategy, budget) in enumerate(searches(kept)):
        for is_shipped in (False, True):
            own = [cell for cell in kept if (cell["base"] == SHIPPED) == is_shipped]
            gains = [100 * gain_of(rows_of(c, strategy, budget))["value"] for c in own]
            axes.scatter(
                [100 * (offline(cell)[FIGURE] or 0) for cell in own],
                gains,
                facecolors="none" if is_shipped else f"C{color}",
                edgecolors=f"C{color}",
                label=None if is_shipped else named(strategy, budget),
            )
    axes.set(xlabel=f"{OFFLINE[FIGURE]}, percent", ylabel="gain, points")
    axes.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.15))
