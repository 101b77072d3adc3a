"""The plots of a reward model's evaluation."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import Any

from stepnav.measure.extras import load
from stepnav.measure.plots import COLOURS, MARKERS, STYLE, TITLE_WIDTH

PLOTS: Mapping[str, str] = {
    "processbench": "threshold",
    "prmbench": "categories",
    "prm800k": "reliability",
    "best-of-n": "best_of_n",
}
"""Kind -> name of its plot, without ending."""

NAMES: Mapping[str, str] = {
    "pass": "pass@n (upper bound)",
    "majority": "majority vote",
    "last": "last step",
    "min": "lowest step",
    "mean": "mean",
    "prod": "product",
}


def plot(kind: str, figures: Mapping[str, Any], *, title: str) -> bytes:
    """Return the plot of one report as a PNG; the same figures give the same bytes.

    Args:
      kind: which report it is, a key of `PLOTS`.
      figures: that report's object.
      title: shown above.
    """
    draw = {
        "processbench": _threshold, "prmbench": _categories, "prm800k": _reliability,
        "best-of-n": _best_of_n,
    }[kind]  # fmt: skip
    panels = 2 if kind == "prm800k" else 1
    matplotlib = load("matplotlib")
    with matplotlib.rc_context(STYLE):
        width = 9.0 if panels == 2 else 7.2
        figure = load("matplotlib.figure").Figure(figsize=(width, 4.5), layout="constrained")
        draw(figure.subplots(1, panels, squeeze=False)[0], figures)
        lines = fill(title, TITLE_WIDTH).replace("$", r"\$")
        figure.suptitle(lines, x=0.01, ha="left", fontsize=11)
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
    return png.getvalue()


def _threshold(panels: Sequence[Any], figures: Mapping[str, Any]) -> None:
    """Draw the three figures against the threshold."""
    axes = panels[0]
    lines = ("error accuracy", "correct accuracy", "F1")
    grid = [row[0] for row in figures["curve"]]
    for number, (name, colour) in enumerate(zip(lines, COLOURS), 1):
        values = [row[number] for row in figures["curve"]]
        points = [(x, 100 * y) for x, y in zip(grid, values) if y is not None]
        axes.plot([x for x, _ in points], [y for _, y in points], color=colour, label=name)
    if figures["threshold"] is not None:
        label = f"threshold ({figures['threshold_from']})"
        axes.axvline(figures["threshold"], color="#888888", linestyle="--", label=label)
    axes.set_xlim(0, 1)
    _per_cent(axes, "share of solutions")
    axes.set_xlabel("threshold on P(step is not wrong)")
    axes.legend(frameon=False, fontsize=9)


def _categories(panels: Sequence[Any], figures: Mapping[str, Any]) -> None:
    """Draw the PRM-Score of all, of each dimension and of each category."""
    axes = panels[0]
    found = {
        name.replace("_", " "): row["prm_score"]
        for name, row in figures["by_threshold"].items()
        if row["prm_score"]["value"] is not None
    }
    values = [100 * row["value"] for row in found.values()]
    axes.errorbar(
        list(found), values, yerr=_errors([*found.values()]),
        fmt="o", color=COLOURS[0], elinewidth=0.8, capsize=2,
    )  # fmt: skip
    _per_cent(axes, "PRM-Score, with 95% interval")
    axes.tick_params(axis="x", rotation=60)


def _reliability(panels: Sequence[Any], figures: Mapping[str, Any]) -> None:
    """Draw confidence against frequency, for the model's own rating and for -1."""
    names = {"rating": "the rating is right", "negative": "the step is labelled -1"}
    for axes, (key, name) in zip(panels, names.items()):
        found = figures["calibration"][key]
        rows = [row for row in found["bins"] if row["count"]]
        most = max((row["count"] for row in rows), default=1)
        axes.plot([0, 100], [0, 100], color="#aaaaaa", linewidth=1)
        cells = [{"value": row["frequency"], "ci95": row["ci95"]} for row in rows]
        axes.errorbar(
            [100 * row["confidence"] for row in rows],
            [100 * row["frequency"] for row in rows],
            yerr=_errors(cells) if rows else None,
            fmt="none", ecolor=COLOURS[0], elinewidth=0.8, capsize=2,
        )  # fmt: skip
        axes.scatter(
            [100 * row["confidence"] for row in rows],
            [100 * row["frequency"] for row in rows],
            s=[12 + 150 * row["count"] / most for row in rows],
            color=COLOURS[0],
        )
        _per_cent(axes, f"how often {name}")
        axes.set_xlim(-3, 103)
        axes.xaxis.set_major_formatter(load("matplotlib.ticker").PercentFormatter(decimals=0))
        axes.set_xlabel("probability (mean of the bin; area: steps in it)")
        ece = found["ece"]["value"]
        axes.set_title("" if ece is None else f"ECE {100 * ece:.1f}%")


def _best_of_n(panels: Sequence[Any], figures: Mapping[str, Any]) -> None:
    """Draw accuracy against n, one line per way to choose."""
    axes = panels[0]
    for index, (key, name) in enumerate(NAMES.items()):
        rows = [row for row in figures["n"] if row[key]["value"] is not None]
        if rows:
            axes.errorbar(
                [row["n"] for row in rows],
                [100 * row[key]["value"] for row in rows],
                yerr=_errors([row[key] for row in rows]),
                label=name,
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
                linestyle="--" if key == "pass" else "-",
                markersize=5,
                elinewidth=0.8,
                capsize=2,
            )
    sizes = [row["n"] for row in figures["n"]]
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    _per_cent(axes, "right, with 95% interval")
    axes.set_xlabel("n, solutions to choose from")
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _errors(cells: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Return the lengths of the error bars below and above; 0 where there is no interval."""

    def lengths(end: Callable[[Mapping[str, Any]], float]) -> list[float]:
        return [max(0.0, 100 * end(cell)) if cell["ci95"] else 0.0 for cell in cells]

    return [
        lengths(lambda cell: float(cell["value"] - cell["ci95"][0])),
        lengths(lambda cell: float(cell["ci95"][1] - cell["value"])),
    ]


def _per_cent(axes: Any, label: str) -> None:
    axes.yaxis.set_major_formatter(load("matplotlib.ticker").PercentFormatter(decimals=0))
    axes.set_ylim(-3, 103)  # points at either end are seen whole
    axes.set_ylabel(label)
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
