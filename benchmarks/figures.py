"""Figures of docs/results in a text, each by the name of its run, strategy, budget and field.

[[RUN LABEL BUDGET FIELD]] is a row of docs/results/RUN/report.json and a field of it, as
`stepnav report --json` calls them, or `right` for accuracy with its interval and `ece` for the
calibration error of P(right); budget "-" is none. Of docs/results/ablations,
[[ablations HEAD/BASE/LABELS/BOUNDARY SEARCH/BUDGET gain]] is what a search gained,
[[ablations HEAD/BASE/LABELS/BOUNDARY - FIGURE]] an offline figure, and
[[ablations ranks SEARCH/BUDGET FIGURE]] how well that figure orders models as the gain does; "_"
stands for a blank. No figure of a document is typed by hand; a name that no row has is refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ablation_report import CONFIG
from ablation_tables import correlation_text, shares
from rl_report import percent as with_interval

DOCS = Path(__file__).resolve().parents[1] / "docs"


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def p_text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1e}" if value < 1e-3 else f"{value:.3f}"


def find_row(run: str, label: str, budget: str) -> dict[str, Any]:
    """Return a row of a published run; budget "-" is none.

    Raises:
      SystemExit: there is no such row.
    """
    report = json.loads((DOCS / "results" / run / "report.json").read_text())
    wanted = None if budget == "-" else int(budget)
    for row in report["rows"]:
        if (row["label"], row["budget"]) == (label, wanted):
            return dict(row)
    raise SystemExit(f"docs/results/{run}/report.json has no row {label} at {budget}")


def figure(run: str, label: str, budget: str, field: str) -> str:
    """Return one figure as text."""
    if run == "ablations":
        return ablation_figure(label, budget, field)
    row = find_row(run, label, budget)
    if field == "right":
        low, high = row["ci95"]
        return f"{percent(row['accuracy'])} ({percent(low)} to {percent(high)})"
    if field == "ece":
        return percent(row["right_prob"]["ece"])
    value = row[field]
    if field.startswith("p_"):
        return p_text(value)
    if field == "coverage":
        return percent(value)
    if field == "flops_per_problem":
        return f"{value / 1e9:.1f} GFLOP"
    return f"{value:,.0f}"


def ablation_figure(model: str, search: str, field: str) -> str:
    """Return one figure of the published ablations as text.

    Raises:
      SystemExit: there is no such model, search or figure.
    """
    path = DOCS / "results" / "ablations" / "ablations.json"
    report = json.loads(path.read_text())
    strategy, _, budget = search.partition("/")
    wanted = (strategy, int(budget or 0))
    if model == "ranks":
        for one in report["correlations"]:
            if (one["strategy"], one["budget"], one["figure"]) == (*wanted, field):
                return correlation_text(one)
    for row in report["rows"]:
        if "/".join(str(row[name]) for name in CONFIG) != model.replace("_", " "):
            continue
        if search == "-" and field in row["offline"]:
            return shares(row["offline"][field])
        for one in row["searches"]:
            if (one["strategy"], one["budget"], one["part"]) == (*wanted, "all"):
                return with_interval(one[field], "+" if field == "gain" else "")
    raise SystemExit(f"{path} has no {field} of {model} at {search}")


def filled(text: str) -> str:
    """Return a text with its figures in place."""
    return re.sub(r"\[\[(\S+) (\S+) (\S+) (\S+)\]\]", lambda found: figure(*found.groups()), text)
