"""Accuracy against measured cost, one line per strategy."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepnav.measure.extras import load
from stepnav.measure.summary import SummaryRow

# Okabe and Ito's palette (jfly.uni-koeln.de/color), told apart under the common colour-vision
# deficiencies; markers differ too, so the plot survives black-and-white print. Yellow is left out,
# as it is faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
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


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One strategy at one budget.

    Attributes:
      budget: limit on the policy tokens, None for no limit.
      policy_tokens: mean generated tokens per problem.
      reward_tokens: mean tokens per problem that the reward model processed.
      accuracy: share of right answers.
      low, high: its 95% interval.
    """

    budget: int | None
    policy_tokens: float
    reward_tokens: float
    accuracy: float
    low: float
    high: float


def accuracy_curves(summary: Sequence[SummaryRow]) -> dict[str, list[CurvePoint]]:
    """Return label -> points by rising mean policy tokens; rows without a grade are left out."""
    curves: dict[str, list[CurvePoint]] = {}
    for row in summary:
        points = curves.setdefault(row.label, [])
        tokens, reward_tokens = row.means["policy_tokens"], row.means["reward_tokens"]
        value, interval = row.accuracy.value, row.accuracy.interval
        if value is None or interval is None or tokens is None or reward_tokens is None:
            continue
        points.append(
            CurvePoint(row.budget, tokens, reward_tokens, value, interval.low, interval.high)
        )
    return {
        label: sorted(points, key=lambda point: point.policy_tokens)
        for label, points in curves.items()
        if points
    }


def plot_accuracy(
    curves: Mapping[str, Sequence[CurvePoint]], *, title: str, oracle: Sequence[str] = ()
) -> tuple[bytes, str]:
    """Return accuracy against mean policy tokens as a PNG and as an SVG.

    The same curves give the same bytes: neither holds a date.

    Args:
      curves: label -> points.
      title: shown above.
      oracle: labels drawn dashed and named as upper bounds.
    """
    matplotlib = load("matplotlib")
    figure_class = load("matplotlib.figure").Figure
    with matplotlib.rc_context(STYLE):
        figure = figure_class(figsize=(7.2, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for index, (label, points) in enumerate(curves.items()):
            _draw_curve(axes, index, label, points, is_oracle=label in oracle)
        _finish_axes(axes, title, curves)
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
        [max(point.policy_tokens, 1.0) for point in points],
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


def _finish_axes(axes: Any, title: str, curves: Mapping[str, Sequence[CurvePoint]]) -> None:
    """Set scales, ticks, labels and legend."""
    ticker = load("matplotlib.ticker")
    axes.set_xscale("log")
    tokens = [max(point.policy_tokens, 1.0) for points in curves.values() for point in points]
    if tokens:
        axes.set_xlim(min(tokens) / 1.25, max(tokens) * 1.25)
    axes.xaxis.set_major_locator(ticker.LogLocator(base=10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.yaxis.set_major_formatter(ticker.PercentFormatter(decimals=0))
    axes.set_ylim(0, 100)
    axes.set_xlabel("policy tokens per problem (mean, log scale)")
    axes.set_ylabel("accuracy, with 95% interval")
    axes.set_title(_plain(title))
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    if curves:
        axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _plain(text: str) -> str:
    """Return text that matplotlib does not read as mathematics, and that the legend shows."""
    return text.replace("$", r"\$").lstrip("_")
