"""Accuracy against measured costs, one panel per cost and one line per strategy."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from stepnav.measure.extras import load
from stepnav.measure.summary import SummaryRow

# Okabe and Ito's palette (jfly.uni-koeln.de/color), told apart under the common colour-vision
# deficiencies; markers differ too, so the plot survives black-and-white print. Yellow is left out,
# as it is faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SMALLEST = 1e-4
"""Where a cost of zero is drawn on a logarithmic axis."""
LEAST_RANGE = 5
"""Highest over lowest cost of an axis: two of the ticks 1, 2, 5, 10 are always in it."""
TITLE_WIDTH = 72
"""Characters of a line of a title; a path of the user's may be longer than a plot is wide."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "stepnav",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
}


AXES: Mapping[str, str] = {
    "policy_tokens": "policy tokens per search",
    "flops": "FLOPs per search, both models",
    "seconds": "seconds of the machine per search",
}
"""What a search costs: generated tokens; all tokens that either model read or wrote, by its size;
the time of the machine, in which many searches run at once."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One strategy at one budget.

    Attributes:
      budget: limit on the policy tokens, None for no limit.
      cost: mean per search, in the unit of the axis.
      accuracy: share of right answers.
      low, high: its 95% interval.
    """

    budget: int | None
    cost: float
    accuracy: float
    low: float
    high: float


def accuracy_curves(
    summary: Sequence[SummaryRow], axis: str = "policy_tokens"
) -> dict[str, list[CurvePoint]]:
    """Return label -> points by rising cost; rows without a grade or that cost are left out.

    Args:
      summary: one row per strategy and budget.
      axis: a key of `AXES`.
    """
    curves: dict[str, list[CurvePoint]] = {}
    for row in summary:
        points = curves.setdefault(row.label, [])
        value, interval, cost = row.accuracy.value, row.accuracy.interval, _cost(row, axis)
        if value is None or interval is None or cost is None:
            continue
        points.append(CurvePoint(row.budget, cost, value, interval.low, interval.high))
    return {
        label: sorted(points, key=lambda point: point.cost)
        for label, points in curves.items()
        if points
    }


def _cost(row: SummaryRow, axis: str) -> float | None:
    if axis != "seconds":
        return row.means[axis]
    return None if row.wall_s is None else row.wall_s / row.searches


def plot_accuracy(
    summary: Sequence[SummaryRow], *, title: str, levels: Mapping[str, float] | None = None
) -> tuple[bytes, str]:
    """Return accuracy against each cost that is known, as a PNG and as an SVG.

    The same summary gives the same bytes: neither holds a date. Rows whose reward model read the
    answers are drawn dashed and named as upper bounds.

    Args:
      summary: one row per strategy and budget.
      title: shown above.
      levels: accuracies to draw as lines across, by what they are of.
    """
    matplotlib = load("matplotlib")
    figure_class = load("matplotlib.figure").Figure
    labels = list(dict.fromkeys(row.label for row in summary))
    oracle = {row.label for row in summary if row.oracle}
    found = {axis: accuracy_curves(summary, axis) for axis in AXES}
    panels = {axis: curves for axis, curves in found.items() if curves} or {"policy_tokens": {}}
    with matplotlib.rc_context(STYLE):
        names = [*labels, *(levels or {})]
        beside = max(3.0, 1 + 0.07 * max(map(len, names), default=0))  # inches, for the legend
        figure = figure_class(figsize=(beside + 4.2 * len(panels), 4.5), layout="constrained")
        for place, (axis, curves) in enumerate(panels.items()):
            axes = figure.add_subplot(1, len(panels), place + 1)
            for label, points in curves.items():
                number = labels.index(label)
                _draw_curve(axes, number, label, points, is_oracle=label in oracle)
            for name, value in (levels or {}).items():
                axes.axhline(100 * value, color="#777777", linestyle=":", label=_plain(name))
            _finish_axes(axes, axis, curves)
        figure.axes[0].set_title(_plain(fill(title, TITLE_WIDTH)))
        handles, names = figure.axes[0].get_legend_handles_labels()
        if handles:
            place_right: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
            figure.axes[-1].legend(handles, names, frameon=False, fontsize=9, **place_right)
        png, svg = io.BytesIO(), io.BytesIO()
        figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue().decode()


def _draw_curve(
    axes: Any, index: int, label: str, points: Sequence[CurvePoint], *, is_oracle: bool
) -> None:
    """Draw one strategy: line, markers, error bars."""
    values = [100 * point.accuracy for point in points]
    axes.errorbar(
        [max(point.cost, SMALLEST) for point in points],
        values,
        yerr=[
            [max(0.0, value - 100 * point.low) for value, point in zip(values, points)],
            [max(0.0, 100 * point.high - value) for value, point in zip(values, points)],
        ],
        label=_plain(f"{label} (upper bound)" if is_oracle else label),
        color=COLOURS[index % len(COLOURS)],
        marker=MARKERS[index % len(MARKERS)],
        linestyle="--" if is_oracle else "-",
        markersize=6,
        linewidth=1.6,
        elinewidth=1.0,
        capsize=2.5,
    )


def _finish_axes(axes: Any, axis: str, curves: Mapping[str, Sequence[CurvePoint]]) -> None:
    """Set scales, ticks and labels."""
    ticker = load("matplotlib.ticker")
    axes.set_xscale("log")
    costs = [max(point.cost, SMALLEST) for points in curves.values() for point in points]
    if costs:
        low, high = min(costs) / 1.25, max(costs) * 1.25
        more = max(1.0, LEAST_RANGE * low / high) ** 0.5
        axes.set_xlim(low / more, high * more)
    axes.xaxis.set_major_locator(ticker.LogLocator(base=10, subs=(1, 2, 5)))
    unit = "s" if axis == "seconds" else ""  # without it 50m reads as minutes
    axes.xaxis.set_major_formatter(ticker.EngFormatter(unit, sep=""))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(ticker.PercentFormatter(decimals=0))
    axes.set_ylim(-3, 103)  # points at either end are seen whole
    axes.set_xlabel(f"{AXES[axis]} (mean, log scale)")
    axes.set_ylabel("accuracy, with 95% interval")
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _plain(text: str) -> str:
    """Return text that matplotlib does not read as mathematics, and that the legend shows."""
    return text.replace("$", r"\$").lstrip("_")
