"""What `ablations.py` measures on held-out solutions, as `stepnav eval-prm` does."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ablation_data import FEW, Solution, calculations, write_held_out

from stepnav.cli.main import app
from stepnav.core.aggregate import AGGREGATIONS
from stepnav.core.records import StepScore
from stepnav.measure.prm.best_of_n import best_of
from stepnav.measure.prm.cases import read_cases
from stepnav.measure.prm.report import make_report
from stepnav.measure.prm.scores import FILE_NAME as SCORES

Scored = dict[int, list[StepScore]]
"""Scores of the steps, by number of the solution."""


def command(*words: str | Path) -> None:
    """Run a `stepnav` command in this process, its tables unprinted."""
    with redirect_stdout(io.StringIO()):
        app([*map(str, words), "--quiet"], standalone_mode=False)


def evaluate(
    boundary: str, reward: Path, folder: Path, held_out: list[Solution]
) -> tuple[Scored, dict[str, Any]]:
    """Return the scores of held-out solutions, and the figures of `stepnav eval-prm` on them.

    The model reads them once, for the first errors; the other figures are of the same scores.
    """
    paths = write_held_out(folder, held_out, boundary)
    command(
        "eval-prm", "--reward", reward, "--data", paths["first-errors"], "--out",
        folder / "first-errors", "--resume",
    )  # fmt: skip
    scores = read_scores(folder / "first-errors" / SCORES)
    found = {kind: figures(path, scores) for kind, path in paths.items()}
    few = {number for number, one in enumerate(held_out) if calculations(one.id) < FEW}
    for name, part in (("few", few), ("many", set(scores) - few)):
        found[f"steps of {name}"] = figures(paths["steps"], {n: scores[n] for n in sorted(part)})
    return scores, found


def read_scores(path: Path) -> Scored:
    """Return the scores that `stepnav eval-prm` left, by number of the solution."""
    rows = map(json.loads, path.read_text().splitlines()[1:])
    return {row["case"]: [StepScore(*probs) for probs in row["probs"]] for row in rows}


def figures(path: Path, scores: Scored) -> dict[str, Any]:
    """Return the figures of one kind; steps without a label need no score."""
    cases = read_cases(path)
    own = {n: tuple(scores[n][: len(cases.items[n].steps)]) for n in scores}
    return dict(make_report(cases, own, {}, settings={})["figures"])


def choose(by: str, scores: Scored, held_out: list[Solution]) -> list[dict[str, Any]]:
    """Return one row for each held-out problem: the best of its solutions against any of them.

    Args:
      by: how step scores become one number.
      scores: of the solutions' steps.
      held_out: the solutions.
    """
    aggregate = AGGREGATIONS[by]
    groups: dict[str, list[tuple[float, bool]]] = {}
    for number, one in enumerate(held_out):
        values = [score.value for score in scores[number]]
        groups.setdefault(one.id, []).append((aggregate(values), one.right))
    return [
        {
            "strategy": "best_of_n",
            "budget": len(graded),
            "problem": name,
            "calculations": calculations(name),
            "right": best_of(graded, len(graded)),
            "before": sum(right for _, right in graded) / len(graded),
        }
        for name, graded in groups.items()
    ]
