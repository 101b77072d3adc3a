"""Options that several commands share.

Of one option each: a type that holds its help. Of several that go together: a record, which stands
in a command's signature for all its fields (`signature.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepnav import build
from stepnav.cli.console import loading
from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError
from stepnav.core.records import Problem
from stepnav.files.atomic import STDOUT, check_output
from stepnav.measure.plan_file import problems_digest
from stepnav.tasks.task import Task

if TYPE_CHECKING:
    from stepnav.measure.prm.case import Cases

_TASK = f"Benchmark: {', '.join(build.TASKS)}; or a file of rows, or FILE.py:NAME."
TaskName = Annotated[str, typer.Option(help=_TASK)]
TypedTaskName = Annotated[
    str | None,
    typer.Option(help=f"{_TASK} [default: plain for a problem's text, else arithmetic]"),
]
Split = Annotated[str | None, typer.Option(help="Its split. [default: the task's own]")]
Data = Annotated[
    Path | None, typer.Option(help="Benchmark file or folder. [default: the hub, by name]")
]
Reward = Annotated[
    str | None,
    typer.Option(
        help="Who scores: a shipped model (arithmetic, plain, micro-python), the folder or hub "
        "name of a reward model (docs/reward-models.md), FAMILY:FOLDER, a server's URL "
        "(docs/servers.md), likelihood:FOLDER, judge (the policy rates its own steps), "
        "judge:POLICY, judge-logprob, oracle, "
        "execution (code: the public tests), equations (prose: those that a step states), either "
        "also with +NAME, a model that it may overrule, or FILE.py:NAME. "
        "[default: the task's own]"
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same tree.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON; solve and show: one line per search.")
]
TellsCoverage = Annotated[
    bool,
    typer.Option(
        "--coverage",
        help="Also grade all solutions that the searches found: how often one was right.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with what the folder holds; start if it holds nothing yet."
    ),
]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Dtype = Annotated[
    str, typer.Option(help="float32 (same tree in any batch), bfloat16 or float16 (may overflow).")
]
Sandbox = Annotated[
    str,
    typer.Option(help="How programs are run: process, namespace, docker, or unsafe (not at all)."),
]
ReportTo = Annotated[
    str | None, typer.Option(help="Trackers, comma-separated: tensorboard, trackio, wandb.")
]
ExcludeProblems = Annotated[
    Path | None,
    typer.Option(
        help="Leave out the problems in this file: rows of a benchmark or of labelled data, or "
        "lines."
    ),
]

LabelFile = Annotated[
    Path, typer.Argument(help="JSON lines, a JSON list or Parquet; may be gzipped.")
]


FIELDS = ("question", "answer")
"""Where a task from a file has them, unless it is said."""


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """Where problems are, and how they are read."""

    data: Data = None
    question_field: Annotated[
        str, typer.Option(help="Task from a file: the field that holds the question.")
    ] = FIELDS[0]
    answer_field: Annotated[
        str, typer.Option(help="Task from a file: the field that holds the answer.")
    ] = FIELDS[1]

    def settings(self, name: str, problems: Sequence[Problem]) -> dict[str, Any]:
        """Return what the problems of a run depend on, for its file."""
        if self.data is None and name in build.TASKS:
            return {"data": None}
        fields = {"question_field": self.question_field, "answer_field": self.answer_field}
        return {
            "data": None if self.data is None else str(self.data),
            "data_digest": problems_digest(problems),
            **({} if name in build.TASKS else fields),
        }

    def load(self, name: str, *, sandbox: str) -> Task:
        """Return a benchmark; arguments as in `build.load_task`."""
        build.check_sandbox(sandbox)
        if name in build.TASKS and (self.question_field, self.answer_field) != FIELDS:
            raise ConfigError(
                "--question-field and --answer-field are for a task from a file; "
                f"{name} knows its own"
            )
        return build.load_task(
            name,
            sandbox=sandbox,
            question_field=self.question_field,
            answer_field=self.answer_field,
        )


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """What a file of step labels is, and which of them are taken."""

    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="prm800k, math-shepherd, stepwise (TRL's) or mutation. [default: told by the "
            "rows]",
        ),
    ] = None
    labels: Annotated[
        str | None,
        typer.Option(
            help="What stepwise labels are: rating (-1, 0, 1), correct (right or wrong) or value "
            "(in [0, 1]). [default: told by the labels]"
        ),
    ] = None
    exclude_problems: ExcludeProblems = None
    leave_out: Annotated[
        str | None,
        typer.Option(
            help="Of PRM800K, comma-separated: quality_control, screening, bad_problem, give_up "
            "(sessions), flagged (alternatives). [default: nothing]"
        ),
    ] = None

    def for_reader(self) -> dict[str, Any]:
        """Return the label reader's arguments."""
        return {
            "format": self.form,
            "kind": self.labels,
            "exclude": self.exclude_problems,
            "leave_out": names_in(self.leave_out),
        }


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """Which solutions a reward model is measured on, and how it runs."""

    kind: Annotated[
        str | None,
        typer.Option(
            help="processbench, prmbench, prm800k or best-of-n. [default: told by the fields]"
        ),
    ] = None
    labels: Annotated[
        str | None,
        typer.Option(
            help="What step labels are: rating, correct or value. [default: told by them]"
        ),
    ] = None
    problems: Annotated[
        int | None, typer.Option(min=1, help="How many, from the file's first on. [default: all]")
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="Chooses the problems of the two parts.")] = 0
    device: Device = "cpu"
    dtype: Dtype = "float32"
    max_batch: Annotated[int, typer.Option(min=1, help="Most solutions in one pass.")] = 64

    def changed(self) -> list[str]:
        """Return the names of the options that are not as by default."""
        given = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        return [f"--{name.replace('_', '-')}" for name in given]

    def read_cases(self, data: Path) -> Cases:
        """Return the solutions of a file."""
        from stepnav.measure.prm.cases import read_cases

        return read_cases(data, kind=self.kind, labels=self.labels, limit=self.problems)  # type: ignore[arg-type]

    def open(self, reward: str) -> Backend:
        """Return the reward model, ready to score."""
        with loading("torch and the model"):
            return build.open_reward(
                reward, device=self.device, dtype=self.dtype, max_batch=self.max_batch
            )


def names_in(text: str | None) -> tuple[str, ...]:
    """Return the names in a value that holds them between commas."""
    return tuple(filter(None, map(str.strip, (text or "").split(","))))


def check_written(option: str, path: Path, as_json: bool, *inputs: Path | None) -> None:
    """Refuse a file that cannot be written, or that would be printed between lines of JSON.

    Raises:
      ConfigError: it is one, as of `check_output`.
    """
    check_output(path, *inputs)
    if path == STDOUT and as_json:
        raise ConfigError(
            f"{option} - and --json would both fill standard output; leave one of them out"
        )


def check_resume(has_begun: bool, resume: bool, place: Path) -> None:
    """Refuse to go on with what a place holds unless that is asked for.

    Raises:
      ConfigError: it holds something, and `resume` is not set.
    """
    if has_begun and not resume:
        raise ConfigError(f"{place} is there already; add --resume to go on with it, or move it")
