"""`stepnav calibrate --run`: makes nav's P(right) come true, from searches that were graded."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.cli.console import print_json, say, stdout, tell_notes
from stepnav.core.errors import ConfigError, DataError
from stepnav.files.atomic import whole_folder, write_bytes
from stepnav.front.origin import rated_by
from stepnav.measure.plan_file import read_plan
from stepnav.measure.prm.scores import folder_digest
from stepnav.measure.report.terminal import print_table
from stepnav.rewards.measured import FILE_NAME as MEASURED_NAME
from stepnav.rewards.measured import write_measured

if TYPE_CHECKING:
    from stepnav.measure.plan import BenchPlan
    from stepnav.measure.right import Map
    from stepnav.measure.stats.cluster import Floats

STRATEGY = "nav"
PLOT_NAME = "right_prob_fitted.png"


def fit_right_prob(
    run: Path, reward: str, folder: Path, out: Path | None, *, seed: int, as_json: bool
) -> None:
    """Fit the map of P(right) on a run's searches, and keep it beside a reward model's weights.

    Args:
      run: a folder of `stepnav bench`; gets the reliability plot.
      reward: the reward model, whose scores the run's searches went by.
      folder: its own.
      out: a copy of it that is changed in its place, if any.
      seed: splits the problems.
      as_json: print JSON.
    Raises:
      ConfigError: the run is of another reward model.
      DataError: the run has nothing to fit on, or nothing is fitted by it.
    """
    from stepnav.measure.prm.tables import right_table
    from stepnav.measure.right import OPTIONS, plot_right, read_pairs

    plan = read_plan(run)
    digests = _check_rated_by(reward, folder, plan, run)
    problems, probs, correct, left_out = read_pairs(run, STRATEGY)
    fitted = _fit(run, probs, correct)
    parts = _compare(problems, probs, correct, seed)
    source = f"{plan.task}/{plan.split}"
    row: dict[str, Any] = {
        "options": {name: round(value, 3) for name, value in zip(OPTIONS, fitted)},
        "run": run.name,
        "fitted_on": source,
        **digests,
        "problems": len(set(problems)),
        "left_out": left_out,
        **{name.replace(" ", "_"): part for name, part in parts.items()},
    }
    if left_out:
        tell_notes([f"{left_out} more searches by {STRATEGY} have no grade or no P(right)"])
    write_bytes(run / PLOT_NAME, plot_right(parts))
    with changed_model(folder, out) as place:
        write_measured(place, STRATEGY, row)
    if as_json:
        print_json({"folder": str(out or folder), **row})
        return
    print_table(stdout(), right_table(parts))
    say(
        f"P(right) of {STRATEGY}: slopes {fitted[0]:.3g} below and {fitted[1]:.3g} above, offset "
        f"{fitted[2]:.3g}, fitted on {source}; stored in {out or folder}; "
        f"reliability plot: {run / PLOT_NAME}"
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


def _compare(
    problems: Sequence[str], probs: Floats, correct: Floats, seed: int
) -> dict[str, dict[str, Any]]:
    """Return how true P(right) is as it was, and by maps on problems that were held out.

    Raises:
      DataError: it is no truer by a map.
    """
    from stepnav.measure.right import describe, held_out

    before = describe(probs, correct)
    after = describe(held_out(problems, probs, correct, seed), correct)
    if after["brier"] >= before["brier"]:
        raise DataError(
            f"P(right) of {STRATEGY} is no truer by a map of these {len(probs)} searches: on "
            f"problems that were held out its Brier score is {after['brier']:.4f} with one and "
            f"{before['brier']:.4f} without; nothing is stored"
        )
    return {"before": before, "held out": after}


def _check_rated_by(reward: str, folder: Path, plan: BenchPlan, run: Path) -> dict[str, str]:
    """Return what tells the reward model of a run's searches: its files then, and all but the map.

    The map that is in the folder now may be another one than the run had, and changes no score.

    Raises:
      ConfigError: it is not the one in the folder.
    """
    made = str(plan.settings.get("reward_digest"))
    if made not in rated_by(folder):
        raise ConfigError(
            f"the searches of {run} went by the reward model {plan.reward} (digest {made}), not by "
            f"{reward} as it is now; fit it on a run of stepnav bench --reward {reward}"
        )
    bare = folder_digest(folder, without=MEASURED_NAME)
    return {"reward_digest": made, "weights_digest": bare}


@contextmanager
def changed_model(folder: Path, out: Path | None) -> Iterator[Path]:
    """Give the folder in which to change a model: its own, or a copy without its checkpoints."""
    if out is None:
        yield folder
        return
    ignored = shutil.ignore_patterns("checkpoint-*", ".*")
    with whole_folder(out) as place:
        shutil.copytree(folder, place, dirs_exist_ok=True, ignore=ignored)
        yield place
