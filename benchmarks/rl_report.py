"""The tables of `rl.py`: what each training and search came to, with intervals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stepnav.measure.stats.cluster import Clusters, ratio

TASK = "arithmetic"
BUDGET = 250
STRATEGIES = ("cot", "hgs")
METHODS = ("base", "grpo outcome", "grpo steps", "expert", "sft")
ACCEPTED = 0.5
"""The reward model accepts a solution of which no step's value is below."""


def share(rows: Sequence[dict[str, Any]], top: str, bottom: str = "all") -> dict[str, Any]:
    """Return a mean or a share with its interval; problems are resampled, with all their seeds.

    Args:
      rows: of one method and strategy, all seeds.
      top: what is summed up: `right`, `tokens`, `steps`, or `accepted wrong`.
      bottom: of which rows: `all`, or the `wrong` ones.
    """
    clusters = Clusters.of_keys([row["problem"] for row in rows])
    values = {
        "accepted wrong": [float(bool(row["accepted"]) and not row["right"]) for row in rows],
        "refused right": [float(row["accepted"] is False and row["right"]) for row in rows],
        "all": [1.0] * len(rows),
        "wrong": [float(not row["right"]) for row in rows],
    }
    tops = values.get(top) or [float(row[top]) for row in rows]
    sums = clusters.sums(np.array(tops)), clusters.sums(np.array(values[bottom]))
    return clusters.estimate(ratio(*sums)).to_json()


def gain(rows: Sequence[dict[str, Any]], base: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many more are right than of the starting model, on the same problems."""
    before = {row["problem"]: row["right"] for row in base}
    clusters = Clusters.of_keys([row["problem"] for row in rows])
    apart = [float(row["right"]) - float(before[row["problem"]]) for row in rows]
    counts = clusters.sums([1.0] * len(rows))
    return clusters.estimate(ratio(clusters.sums(apart), counts)).to_json()


def summary(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each method and strategy that has been run."""
    found = []
    base = [row for one in cells if one["method"] == "base" for row in one["rows"]]
    for method in METHODS:
        own = [one for one in cells if one["method"] == method]
        for strategy in STRATEGIES if own else ():
            rows = [row for one in own for row in one["rows"] if row["strategy"] == strategy]
            before = [row for row in base if row["strategy"] == strategy]
            found.append(
                {
                    "method": method,
                    "strategy": strategy,
                    "seeds": len(own),
                    "training": [one["training"] for one in own],
                    "right": share(rows, "right"),
                    "right_by_seed": [
                        share([r for r in one["rows"] if r["strategy"] == strategy], "right")[
                            "value"
                        ]
                        for one in own
                    ],
                    "gain": gain(rows, before),
                    "tokens": share(rows, "tokens"),
                    "steps": share(rows, "steps"),
                    "accepted_wrong": share(rows, "accepted wrong"),
                    "accepted_of_wrong": share(rows, "accepted wrong", "wrong"),
                    "refused_right": share(rows, "refused right"),
                }
            )
    return found


def percent(estimate: dict[str, Any], sign: str = "") -> str:
    if estimate["value"] is None:
        return ""
    text = f"{100 * estimate['value']:{sign}.1f}%"
    low, high = estimate["ci95"] or (None, None)
    return text if low is None else f"{text} ({100 * low:{sign}.1f} to {100 * high:{sign}.1f})"


HEADER = (
    *("training", "then", "right (95% interval)", "seeds: least to most", "gain over no training"),
    *("tokens", "steps", "accepted and wrong", "of the wrong: accepted", "refused and right"),
)


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["| " + " | ".join(HEADER) + " |", "| :-- | :-- |" + " --: |" * (len(HEADER) - 2)]
    for row in rows:
        seeds = row["right_by_seed"]
        cells = (
            row["method"],
            row["strategy"],
            percent(row["right"]),
            f"{100 * min(seeds):.1f} to {100 * max(seeds):.1f}" if len(seeds) > 1 else "",
            "" if row["method"] == "base" else percent(row["gain"], "+"),
            f"{row['tokens']['value']:.0f}",
            f"{row['steps']['value']:.2f}",
            percent(row["accepted_wrong"]),
            percent(row["accepted_of_wrong"]),
            percent(row["refused_right"]),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def costs(rows: Sequence[dict[str, Any]]) -> str:
    """Return what the trainings came to: means over seeds."""
    names = ("generated", "learnt", "updates")
    lines = ["| training | seeds | tokens generated | tokens learnt | updates |"]
    lines.append("| :-- | --: | --: | --: | --: |")
    for row in rows:
        if row["strategy"] == STRATEGIES[0] and row["method"] != "base":
            means = [sum(one[name] for one in row["training"]) / row["seeds"] for name in names]
            lines.append(
                f"| {row['method']} | {row['seeds']} | "
                + " | ".join(f"{mean:,.0f}" for mean in means)
                + " |"
            )
    return "\n".join(lines)


def sampled(cells: Sequence[dict[str, Any]], size: int = 5) -> str:
    """Return what GRPO's own samples were like in its first and its last updates."""
    names = ("right", "process", "accepted_wrong", "steps_per_solution", "tokens_per_solution")
    lines = [
        "| training | updates | right | least step value | accepted and wrong | steps | tokens |"
    ]
    lines.append("| :-- | :-- |" + " --: |" * len(names))
    for method in METHODS:
        logs = [one["log"] for one in cells if one["method"] == method and one["log"]]
        for title, part in (("first", slice(None, size)), ("last", slice(-size, None))):
            rows = [row for log in logs for row in log[part]]
            if rows:
                means = [sum(row[name] for row in rows) / len(rows) for name in names]
                shares = " | ".join(f"{100 * mean:.1f}%" for mean in means[:3])
                lines.append(
                    f"| {method} | {title} {size} | {shares} | {means[3]:.2f} | {means[4]:.0f} |"
                )
    return "\n".join(lines)


def write_report(out: Path, cells: Sequence[dict[str, Any]], args: Any) -> str:
    rows = summary(cells)
    kept = {"tokens": args.tokens, "problems": args.problems, "split": args.split, "rows": rows}
    (out / "rl.json").write_text(json.dumps(kept, indent=1) + "\n")
    text = (
        f"{args.problems} problems of the {TASK} {args.split} split; greedy chain of thought (cot) "
        f"and HGS at {BUDGET} policy tokens with the shipped reward model. About {args.tokens:,} "
        "training tokens each: those of solutions, generated and under the loss. Intervals "
        "resample problems, with all their seeds; accepted: no step's value is below 0.5.\n\n"
        f"{table(rows)}\n\nWhat the trainings came to, mean of the seeds:\n\n{costs(rows)}\n\n"
        f"GRPO's own samples on training problems, mean of the seeds:\n\n{sampled(cells)}\n"
    )
    (out / "report.md").write_text(text)
    return text
