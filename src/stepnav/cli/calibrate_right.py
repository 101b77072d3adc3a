"""`stepnav calibrate --run`: makes nav's P(right) come true, from searches that were graded."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.cli.console import print_json, stdout
from stepnav.core.errors import DataError
from stepnav.files.atomic import whole_folder, write_bytes
from stepnav.measure.plan_file import FILE_NAME as PLAN_NAME
from stepnav.measure.plan_file import read_plan
from stepnav.measure.report.terminal import print_table
from stepnav.rewards.measured import write_measured

if TYPE_CHECKING:
    from stepnav.measure.right import Map
    from stepnav.measure.stats.cluster import Floats

STRATEGY = "nav"
PLOT_NAME = "right_prob_fitted.png"


def fit_right_prob(run: Path, folder: Path, out: Path | None, *, seed: int, as_json: bool) -> None:
    """Fit the map of P(right) on a run's searches, and keep it beside a reward model's weights.

    Args:
      run: a folder of `stepnav bench`; gets the reliability plot.
      folder: the reward model's.
      out: a copy of it that is changed in its place, if any.
      seed: splits the problems.
      as_json: print JSON.
    Raises:
      DataError: the run has nothing to fit on, or nothing is fitted by it.
    """
    from stepnav.measure.prm.tables import right_table
    from stepnav.measure.right import OPTIONS, describe, held_out, plot_right, read_pairs

    problems, probs, correct = read_pairs(run, STRATEGY)
    fitted = _fit(run, probs, correct)
    source = _source(run)
    parts = {
        "before": describe(probs, correct),
        "held out": describe(held_out(problems, probs, correct, seed), correct),
    }
    row: dict[str, Any] = {
        "options": {name: round(value, 3) for name, value in zip(OPTIONS, fitted)},
        "run": run.name,
        "fitted_on": source,
        "problems": len(set(problems)),
        **{name.replace(" ", "_"): part for name, part in parts.items()},
    }
    write_bytes(run / PLOT_NAME, plot_right(parts))
    if out is None:
        write_measured(folder, STRATEGY, row)
    else:
        with whole_folder(out) as place:
            copy_weights(folder, place)
            write_measured(place, STRATEGY, row)
    if as_json:
        print_json({"folder": str(out or folder), **row})
        return
    print_table(stdout(), right_table(parts))
    stdout().print(
        f"P(right) of {STRATEGY}: slopes {fitted[0]:.3g} below and {fitted[1]:.3g} above, offset "
        f"{fitted[2]:.3g}{f', fitted on {source}' if source else ''}; stored in {out or folder}; "
        f"reliability plot: {run / PLOT_NAME}",
        soft_wrap=True,
    )


def _fit(run: Path, probs: Floats, correct: Floats) -> Map:
    """Return the map of a run's searches.

    Raises:
      DataError: it is flat.
    """
    from stepnav.measure.right import fit_right, is_flat

    fitted = fit_right(probs, correct)
    if is_flat(fitted):
        raise DataError(
            f"P(right) of {STRATEGY} tells nothing on the {len(probs)} searches of {run}: those of "
            "a higher one are no more often right; nothing is stored"
        )
    return fitted


def _source(run: Path) -> str | None:
    """Return the task and split of a run, None where its plan is gone."""
    if not (run / PLAN_NAME).exists():
        return None
    plan = read_plan(run)
    return f"{plan.task}/{plan.split}"


def copy_weights(folder: Path, place: Path) -> None:
    """Copy a model's folder without its checkpoints."""
    ignored = shutil.ignore_patterns("checkpoint-*", ".*")
    shutil.copytree(folder, place, dirs_exist_ok=True, ignore=ignored)
