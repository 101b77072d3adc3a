"""`stepnav calibrate`: temperature scaling of a reward model, stored beside its weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepnav import build
from stepnav.build.plugins import split_file
from stepnav.build.rewards import as_judge
from stepnav.build.rules import split_rule
from stepnav.cli.calibrate_right import changed_model, fit_right_prob
from stepnav.cli.console import Interrupted, Progress, print_json, say, stdout, tell_notes
from stepnav.cli.options.shared import AsJson, ScoringOptions
from stepnav.cli.remarks import tell_unscored
from stepnav.core.backend import Answer, Backend
from stepnav.core.errors import ConfigError, DataError
from stepnav.files.atomic import write_text
from stepnav.measure.extras import check_installed
from stepnav.rewards.families.label_tokens import LabelTokens
from stepnav.rewards.families.recognise import split_family
from stepnav.rewards.local.step_format import StepFormat
from stepnav.zoo import MODELS_FOLDER

if TYPE_CHECKING:
    from stepnav.measure.prm.case import Case, Cases
    from stepnav.measure.prm.scores import Scored

FILE_NAME = "calibration.json"
"""Written beside the weights: what the temperature was fitted on, and what it changed."""

FIT_SHARE = 0.5
MAX_ROUNDING = 1e-3
"""Nats by which the held-out loss may rise: nothing that a report shows."""


def run(
    *,
    reward: Annotated[
        str,
        typer.Option(
            help="A folder or hub name of a prm or math-shepherd model (docs/reward-models.md), or "
            "FAMILY:FOLDER; the other families keep no temperature."
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(help="Held-out step labels: any file of eval-prm that has them.")
    ] = None,
    from_run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            help="In place of --data: a run of bench by nav on held-out problems, to fit P(right).",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Copy the model there. [default: change it in place]")
    ] = None,
    fit_share: Annotated[
        float | None,
        typer.Option(help="Share of the problems to fit on; the rest checks. [default: 0.5]"),
    ] = None,
    scoring: ScoringOptions,
    as_json: AsJson = False,
) -> None:
    """Fit the temperature that makes a reward model's probabilities honest, and store it with it.

    Searches and evaluations use it from then on. Ratings stay as they are, scores move. Do not fit
    on what you report on.

    Example:

      stepnav calibrate --reward ./my-prm --data dev.jsonl --out ./my-prm-calibrated

      stepnav calibrate --reward ./my-prm --run runs/dev
    """
    check_installed()
    if (data is None) == (from_run is None):
        raise ConfigError("name what to fit on: --data FILE or --run FOLDER, one of them")
    if from_run is not None:
        _refuse_for_run(scoring, fit_share)
        folder = _folder(reward, out)
        fit_right_prob(from_run, reward, folder, out, seed=scoring.seed, as_json=as_json)
        return
    assert data is not None, "one of them is named"
    build.check_device(scoring.device, scoring.dtype)
    share = FIT_SHARE if fit_share is None else fit_share
    if not 0 < share < 1:
        raise ConfigError(f"--fit-share must be above 0 and below 1 (got {share})")
    folder = _folder(reward, out)
    stored = _stored(reward, folder)
    cases = _cases(data, scoring)
    report = _fit(stored, cases, scoring.open(reward), data.name, share, scoring.seed)
    with changed_model(folder, out) as place:
        replace(stored, temperature=report["temperature"]).save(place)
        write_text(place / FILE_NAME, json.dumps(report, indent=1) + "\n")
    _tell(report, out or folder, as_json)


def _refuse_for_run(scoring: ScoringOptions, fit_share: float | None) -> None:
    """Refuse options that a fit on a run's searches, which scores nothing, has no use for."""
    idle = [name for name in scoring.changed() if name != "--seed"]
    if fit_share is not None:
        idle.insert(0, "--fit-share")
    if idle:
        raise ConfigError(f"--run fits on all searches of the run; leave {', '.join(idle)} out")


def _cases(data: Path, scoring: ScoringOptions) -> Cases:
    """Return the solutions of a file, if they can be fitted on and checked with."""
    cases = scoring.read_cases(data)
    if cases.kind == "best-of-n":
        raise ConfigError("a temperature is fitted on step labels; best-of-n files have none")
    if cases.num_problems < 2:
        raise DataError(f"{data} has one problem; at least two are needed to fit and to check")
    tell_notes(f"left out: {reason}" for reason in cases.left_out)
    return cases


def _fit(
    stored: StepFormat | LabelTokens,
    cases: Cases,
    backend: Backend,
    data: str,
    fit_share: float,
    seed: int,
) -> dict[str, Any]:
    """Return the temperature, and what it changes on both parts of the problems.

    Raises:
      DataError: it does not help.
    """
    from stepnav.measure.prm.scores import split_by_problem
    from stepnav.measure.prm.temperature import (
        describe,
        fit_temperature,
        observe,
        rated_classes,
        with_step_labels,
    )

    classes = rated_classes(stored.labels if isinstance(stored, StepFormat) else (-1, 1))
    label_kind = cases.label_kind or "correct"
    scored, num_failed = _score(backend, [with_step_labels(case) for case in cases.items])
    fitted, held_out = split_by_problem(scored, fit_share, seed, name="calibrate")
    factor = fit_temperature(observe(fitted, label_kind, classes))
    after = describe(held_out, label_kind, factor, classes)
    _check_helps(after)
    return {
        "temperature": stored.temperature * factor,
        "temperature_before": stored.temperature,
        "data": data,
        "data_digest": cases.digest,
        "kind": cases.kind,
        "label_kind": label_kind,
        "split": f"{fit_share:g} of the problems, seed {seed}",
        "unscored": num_failed,
        "fitted_on": describe(fitted, label_kind, factor, classes),
        "held_out": after,
    }


def _check_helps(held_out: dict[str, Any]) -> None:
    """Refuse a temperature that makes what it was not fitted on less likely.

    Raises:
      DataError: it does; a change by rounding, where there was nothing to mend, is none.
    """
    before, after = (held_out[moment]["nll"]["value"] for moment in ("before", "after"))
    if before is not None and after > before + MAX_ROUNDING:
        raise DataError(
            f"no temperature helps: the one that fits makes the NLL of the {held_out['steps']} "
            f"labelled steps that were held out {after:.3f}, {before:.3f} before; nothing was "
            "changed"
        )


def _folder(reward: str, out: Path | None) -> Path:
    """Return the model's folder, having checked that the result can be put where it should."""
    is_outside = split_file(reward) is not None
    has_none = is_outside or reward.startswith("likelihood:") or as_judge(reward) is not None
    if has_none or reward == "oracle" or split_rule(reward)[0]:
        raise ConfigError(
            f"{reward!r} has no temperature; --reward must be a process reward model's folder"
        )
    folder = build.reward_folder(reward)
    if out is None:
        if folder.resolve().is_relative_to(MODELS_FOLDER.resolve()):
            raise ConfigError("a model of the package is not changed; name a new folder with --out")
        if not Path(split_family(reward)[1]).is_dir():
            raise ConfigError("a model of the hub is not changed; name a new folder with --out")
    elif out.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{out} is in the model's own folder; name one elsewhere with --out")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is not an empty folder; name a new one with --out")
    return folder


def _score(backend: Any, cases: Sequence[Case]) -> tuple[list[Scored], int]:
    """Return the solutions with their scores, in order, and how many could not be scored."""
    from stepnav.run.scoring import score_trajectories

    found: dict[int, Any] = {}
    reasons: list[str] = []
    try:
        with Progress("calibrate", len(cases), "solutions") as progress:
            for number, answer in score_trajectories(backend, (c.trajectory for c in cases)):
                if isinstance(answer, Answer):
                    found[number] = answer.items
                else:
                    reasons.append(str(answer))
                progress.advance()
    except KeyboardInterrupt:
        raise Interrupted("interrupted: the model was not changed") from None
    finally:
        backend.close()
    tell_unscored(reasons, len(cases))
    return [(cases[number], found[number]) for number in sorted(found)], len(reasons)


def _stored(reward: str, folder: Path) -> StepFormat | LabelTokens:
    """Return the settings beside a model's weights from which its family reads the temperature."""
    family = build.reward_family(reward)
    if family == "math-shepherd":
        return LabelTokens.load(folder)
    if family != "prm":
        raise ConfigError(
            f"{reward} is of the family {family}, and only prm and math-shepherd keep a "
            "temperature beside the weights (stepnav_prm.json, stepnav_label_tokens.json); a "
            "token classifier with a stepnav_prm.json is prm"
        )
    return StepFormat.load(folder)


def _tell(report: dict[str, Any], place: Path, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(place), **report})
        return
    from stepnav.measure.prm.tables import calibration_table
    from stepnav.measure.report.terminal import print_table

    console = stdout()
    print_table(console, calibration_table(report))
    say(
        f"Temperature {report['temperature']:.4g} (before: {report['temperature_before']:.4g}), "
        f"fitted on {report['split']}; stored in {place}"
    )
