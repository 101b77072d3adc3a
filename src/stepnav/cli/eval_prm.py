"""`stepnav eval-prm`: how good is a reward model?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepnav import build
from stepnav.build.plugins import as_reward, find, is_outside
from stepnav.build.rewards import refuse_tasks_own
from stepnav.build.rules import split_rule
from stepnav.cli.console import Progress, interruptible, print_json, say, stdout, tell_notes
from stepnav.cli.options.shared import AsJson, Resume, ScoringOptions, check_resume
from stepnav.cli.remarks import tell_unscored
from stepnav.core.errors import ConfigError, DataError
from stepnav.files.lock import LOCK_NAME, locked
from stepnav.front.origin import digests, function_digest
from stepnav.measure.extras import check_installed

if TYPE_CHECKING:
    from stepnav.measure.prm.case import Cases
    from stepnav.measure.prm.scores import Scores


def run(
    *,
    data: Annotated[Path, typer.Option(help="Solutions whose truth is known; see below.")],
    out: Annotated[Path, typer.Option(help="Folder for scores and report.")],
    reward: Annotated[
        str | None,
        typer.Option(
            help="Who scores: a shipped model, a model folder, a hub name, FAMILY:FOLDER, "
            "likelihood:FOLDER, judge:FOLDER or FILE.py:NAME. [default: best-of-n: the file itself]"
        ),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Use this one, report on all. [default: prmbench: .5]")
    ] = None,
    dev_share: Annotated[
        float | None,
        typer.Option(help="processbench: share of problems to choose it on. [default: 0.25]"),
    ] = None,
    scoring: ScoringOptions,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Measure a reward model, with intervals over problems.

    What the file may hold, one JSON object a line: ProcessBench (problem, steps, label: the first
    wrong step), PRMBench (modified_question, modified_process, error_steps, classification), step
    labels (raw PRM800K, or prompt, completions, labels), or solutions to choose from (problem_id,
    problem, steps or text, is_correct, and optionally answer and scores). Killed and started again
    with --resume, it goes on where it was; a folder of another model or file is refused.

    Examples:

      stepnav eval-prm --reward ./my-prm --data processbench/gsm8k.jsonl.gz --out runs/processbench

      stepnav eval-prm --reward ./my-prm --data phase1_test.jsonl.gz --out runs/phase1

      stepnav eval-prm --data scored.jsonl --out runs/best-of-n
    """
    check_installed()
    build.check_device(scoring.device, scoring.dtype)
    from stepnav.measure.prm.processbench import DEV_SHARE
    from stepnav.measure.prm.report import make_report, write_report

    cases = scoring.read_cases(data)
    _check_threshold(cases.kind, threshold, dev_share)
    scorer = _Scorer(reward, scoring)
    settings = {"kind": cases.kind, **scorer.settings(), "data_digest": cases.digest}
    scorer.check_cases(cases)
    _prepare(out, resume)
    with locked(out):
        scores, failed, tokens = scorer.score(cases, out, settings)
        tell_unscored(list(failed.values()), len(cases.items))
        report = make_report(
            cases,
            scores,
            failed,
            settings={"reward": reward, "data": str(data), **settings, "reward_tokens": tokens},
            threshold=threshold,
            dev_share=DEV_SHARE if dev_share is None else dev_share,
            seed=scoring.seed,
        )
        files = write_report(out, report)
    _tell(report, out, files, as_json)


class _Scorer:
    """Scores a file's solutions with the reward model, or takes the scores that it holds."""

    def __init__(self, reward: str | None, scoring: ScoringOptions) -> None:
        self._reward = reward
        self._scoring = scoring

    def settings(self) -> dict[str, Any]:
        """Return what the scores depend on, as far as the reward model goes."""
        from stepnav.measure.prm.scores import folder_digest

        if self._reward is None:
            self._refuse_how("the file's own scores are taken")
            return {"reward_kind": None, "reward_digest": None, "dtype": None}
        refuse_tasks_own(self._reward)
        rule, model = split_rule(self._reward)
        if not model:
            self._refuse_how(f"{rule} is a rule")
            return {"reward_kind": rule, "reward_digest": None, "dtype": None}
        kind = f"{rule}+" if rule else ""
        if is_outside("rewards", model):
            self._refuse_how(f"{model} is a function")
            kind += f"own:{model.rpartition(':')[2]}"
            return {"reward_kind": kind, "reward_digest": _own_digest(model), "dtype": None}
        digest = folder_digest(build.reward_folder(model))
        kind += model.rpartition(":")[0] or "model"
        return {"reward_kind": kind, "reward_digest": digest, "dtype": self._scoring.dtype}

    def _refuse_how(self, why: str) -> None:
        idle = {"--device", "--dtype", "--max-batch"} & set(self._scoring.changed())
        if idle:
            raise ConfigError(f"{why}: no model is run; leave {', '.join(sorted(idle))} out")

    def check_cases(self, cases: Cases) -> None:
        """Refuse solutions that cannot be scored as asked, before anything is made."""
        for case in cases.items:
            has_scores = case.graded is not None and case.graded.scores is not None
            if self._reward is None and not has_scores:
                raise ConfigError(
                    f"{case.id} has no scores of its own; name a reward model with --reward"
                )
            if self._reward is not None and not (case.question and any(map(str.strip, case.steps))):
                raise DataError(
                    f"{case.id} has no problem text or no steps, so it cannot be scored; leave "
                    "--reward out to take the scores that the file holds"
                )

    def score(
        self, cases: Cases, out: Path, settings: dict[str, Any]
    ) -> tuple[dict[int, Scores], dict[int, str], int | None]:
        """Return the scores, why others have none, and the tokens that the model has read."""
        if self._reward is None:
            return _own_scores(cases), {}, None
        from stepnav.measure.prm.scores import FILE_NAME, ScoresFile

        with ScoresFile(
            out / FILE_NAME, settings, [len(case.steps) for case in cases.items]
        ) as file:
            total = len(cases.items)
            with interruptible(
                lambda: f"{len(file.scores)} of {total} solutions are scored and kept"
            ):
                failed = self._score_rest(cases, file)
            return dict(file.scores), failed, file.reward_tokens

    def _score_rest(self, cases: Cases, file: Any) -> dict[int, str]:
        from stepnav.measure.prm.scores import score_cases

        total, done = len(cases.items), len(file.scores)
        if done == total:
            return {}
        assert self._reward is not None, "without a model nothing is scored"
        backend = self._scoring.open(self._reward)
        try:
            with Progress("eval-prm", total, "solutions", first=done) as progress:
                return score_cases(backend, cases.items, file, progress=progress.reach)
        finally:
            backend.close()


def _own_digest(reward: str) -> str | None:
    """Return what changes with a function: its file, or its code where a package brings it.

    Raises:
      ConfigError: it is none, and no backend.
    """
    found = find("rewards", reward)
    as_reward(found)
    return next(iter(digests(None, reward).values()), None) or function_digest(found)


def _own_scores(cases: Cases) -> dict[int, Scores]:
    from stepnav.core.records import StepScore

    return {
        number: tuple(StepScore(1 - value, 0.0, value) for value in case.graded.scores)
        for number, case in enumerate(cases.items)
        if case.graded is not None and case.graded.scores is not None
    }


def _check_threshold(kind: str, threshold: float | None, dev_share: float | None) -> None:
    if kind not in ("processbench", "prmbench") and threshold is not None:
        raise ConfigError(f"--threshold is for processbench and prmbench; this is {kind}")
    if kind != "processbench" and dev_share is not None:
        raise ConfigError(f"--dev-share is for processbench; this is {kind}")
    if threshold is not None and dev_share is not None:
        raise ConfigError("give --threshold, or --dev-share to choose one, not both")
    if threshold is not None and not 0 <= threshold <= 1:
        raise ConfigError(f"--threshold must be between 0 and 1 (got {threshold})")
    if dev_share is not None and not 0 < dev_share < 1:
        raise ConfigError(f"--dev-share must be above 0 and below 1 (got {dev_share})")


def _prepare(out: Path, resume: bool) -> None:
    """Make the folder, or check that it is of an evaluation."""
    from stepnav.measure.prm.scores import FILE_NAME

    try:
        out.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in out.iterdir()} - {LOCK_NAME}
    except OSError as error:
        raise DataError(f"cannot make the folder {out} ({error.strerror})") from None
    if names and not names & {FILE_NAME, "report.json"}:
        raise ConfigError(f"{out} is not empty and not of an evaluation; use another --out")
    check_resume(bool(names), resume, out)


def _tell(
    report: dict[str, Any],
    out: Path,
    files: list[str],
    as_json: bool,
) -> None:
    tell_notes(f"left out: {reason}" for reason in report["left_out"])
    if as_json:
        print_json(report)
    else:
        _print(report, out, files)


def _print(report: dict[str, Any], out: Path, files: list[str]) -> None:
    from stepnav.measure.prm.tables import tables, threshold_note
    from stepnav.measure.report.terminal import print_table

    console = stdout()
    for table in tables(report):
        print_table(console, table)
    if report["kind"] in ("processbench", "prmbench"):
        say(threshold_note(report["figures"]))
    say(f"In {out}: {', '.join(files)}")
