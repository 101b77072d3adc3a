"""The tables of `ablations.py`, and its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ablation_data import FEW
from ablation_plot import plot
from ablation_report import CONFIG, OFFLINE, SHIPPED, USUAL, Found, correlations, named, summary
from rl_report import percent

from stepnav.files.atomic import write_bytes, write_text

LEAST_MODELS = 6
"""Of fewer a rank correlation says nothing."""
WORDS = {
    "three": "three classes",
    "orm": "outcome model",
    "finished": "the finished model",
    "policy": "the policy",
    "other": "another task's policy",
    "raw": "random weights",
}


def shares(figure: Found) -> str:
    """Return a mean over seeds, with its least and most where they differ."""
    if figure["mean"] is None:
        return ""
    text = f"{100 * figure['mean']:.1f}"
    if figure["least"] == figure["most"]:
        return text
    return f"{text} ({100 * figure['least']:.1f} to {100 * figure['most']:.1f})"


def title_of(row: Found) -> str:
    """Return what is not as usual of a configuration."""
    if row["base"] == SHIPPED:
        return "shipped reward model"
    apart = [
        f"{name}: {WORDS.get(row[name], row[name])}"
        if name != "labels"
        else f"{row[name]:,} labels"
        for name in CONFIG
        if row[name] != USUAL[name]
    ]
    return "; ".join(apart) or "three classes, the finished model, 10,000 labels, line"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "| :-- |" + " --: |" * (len(header) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def main_table(rows: Sequence[Found]) -> str:
    """Return each configuration with its offline figures and gains."""
    kinds = list(
        dict.fromkeys((one["strategy"], one["budget"]) for row in rows for one in row["searches"])
    )
    header = ["trained", "seeds", *OFFLINE.values(), *(f"gain, {named(*kind)}" for kind in kinds)]
    body = []
    for row in rows:
        gains = {
            (one["strategy"], one["budget"]): percent(one["gain"], "+")
            for one in row["searches"]
            if one["part"] == "all"
        }
        body.append(
            [
                title_of(row),
                str(row["seeds"]),
                *(shares(row["offline"][name]) for name in OFFLINE),
                *(gains.get(kind, "") for kind in kinds),
            ]
        )
    return table(header, body)


def part_table(rows: Sequence[Found]) -> str:
    """Return the figures of easier and harder problems."""
    names = [f"{name}, {part}" for name in ("missed", "rejected") for part in ("few", "many")]
    kinds = list(
        dict.fromkeys(
            (one["strategy"], one["budget"], one["part"])
            for row in rows
            for one in row["searches"]
            if one["part"] != "all"
        )
    )
    header = ["trained", *names, *(f"gain, {named(*kind[:2])}, {kind[2]}" for kind in kinds)]
    body = []
    for row in rows:
        gains = {
            (one["strategy"], one["budget"], one["part"]): percent(one["gain"], "+")
            for one in row["searches"]
        }
        figures = [shares(row["by_part"][name]) for name in names]
        body.append([title_of(row), *figures, *(gains.get(kind, "") for kind in kinds)])
    return table(header, body)


def correlation_table(found: Sequence[Found]) -> str:
    """Return Spearman's correlations, offline figures by searches."""
    kinds = list(dict.fromkeys((one["strategy"], one["budget"]) for one in found))
    cells = {(one["figure"], one["strategy"], one["budget"]): one for one in found}
    body = [
        [
            title,
            *(correlation_text(cells[(name, *kind)]) for kind in kinds),
        ]
        for name, title in OFFLINE.items()
        if all((name, *kind) in cells for kind in kinds)
    ]
    return table(["offline figure", *(named(*kind) for kind in kinds)], body)


def rank_text(found: Sequence[Found]) -> str:
    """Return which offline figure goes with the gains, where there are models enough to tell."""
    models = found[0]["models"] if found else 0
    if models < LEAST_MODELS:
        return (
            f"Which offline figure goes with the gains is not told: {models} models trained alike "
            f"are too few, it takes {LEAST_MODELS}."
        )
    return (
        "Which offline figure orders the models as the gains do: Spearman's rank correlation over "
        f"{models} models of {found[0]['configurations']} configurations (not those in steps of "
        "two lines, nor the shipped one); 95% intervals resample configurations.\n\n"
        + correlation_table(found)
    )


def correlation_text(one: Found) -> str:
    if one["spearman"] is None:
        return ""
    text = f"{one['spearman']:+.2f}"
    return (
        text if one["ci95"] is None else f"{text} ({one['ci95'][0]:+.2f} to {one['ci95'][1]:+.2f})"
    )


def training_table(rows: Sequence[Found]) -> str:
    """Return what the trainings came to: means over seeds."""
    names = ("problems", "solutions", "labels", "epochs", "seconds")
    body = [
        [
            title_of(row),
            *(f"{sum(one[name] for one in row['training']) / row['seeds']:,.0f}" for name in names),
        ]
        for row in rows
        if row["base"] != SHIPPED
    ]
    return table(["trained", *names], body)


def write_report(out: Path, cells: Sequence[Found], args: Any) -> str:
    """Write tables, figures and plot of what is done into the folder; return the tables."""
    rows, found = summary(cells), correlations(cells)
    kept = {"problems": args.problems, "held_out": args.held_out, "rows": rows}
    write_text(out / "ablations.json", json.dumps({**kept, "correlations": found}, indent=1) + "\n")
    write_bytes(out / "ablations.png", plot(rows, cells))
    text = page(rows, found, args)
    write_text(out / "report.md", text)
    return text


def page(rows: Sequence[Found], found: Sequence[Found], args: Any) -> str:
    """Return the report."""
    parts = [
        "Reward models of the arithmetic task, trained with one thing changed at a time from "
        f"{title_of(USUAL)}; figures in percent, means over seeds with the least and the most. "
        f"Offline: on {args.held_out} dev problems, four solutions each at temperature 1. Gains in "
        "points with 95% intervals over problems: the best of those four over one of them, and HGS "
        f"and nav over greedy chain of thought on {args.problems} other dev problems. An outcome "
        "model chooses by its last step's score, the others by the product.",
        main_table(rows),
        f"By difficulty: few is less than {FEW} calculations, many the rest; first errors missed, "
        "right steps rejected, gains.",
        part_table(rows),
        rank_text(found),
        "What they learnt from; few labels are gone through more often.",
        training_table(rows),
        "![labels, offline figures and gains](ablations.png)",
    ]
    return "\n\n".join(parts) + "\n"
