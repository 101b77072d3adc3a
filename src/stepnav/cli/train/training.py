"""What the commands that train share: their options, how they run, and what they tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepnav import build
from stepnav.cli.console import Stages, interruptible, loading, note, print_json, say, tell_notes
from stepnav.cli.options.shared import LabelOptions, ReportTo, Resume, Seed, names_in
from stepnav.core.errors import ConfigError, choose
from stepnav.core.extras import importing

if TYPE_CHECKING:
    from stepnav.train.finetune import TrainReport

DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("float32", "bfloat16")
SCHEDULES = ("cosine", "linear", "constant")


FirstModel = Annotated[
    str, typer.Option(help="Policy to begin with: a shipped model, a folder or a hub name.")
]


@dataclass(frozen=True, slots=True)
class TrainFiles:
    """What a training reads and writes."""

    model: Annotated[str, typer.Option(help="Checkpoint to begin with: a folder or a hub name.")]
    data: Annotated[Path, typer.Option(help="What it learns from.")]
    out: Annotated[Path, typer.Option(help="Folder of the new model, and of its checkpoints.")]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How any training runs."""

    learning_rate: Annotated[float, typer.Option(min=0.0, help="Its highest value.")] = 1e-5
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto (cuda where there is one).")] = (
        "auto"
    )
    dtype: Annotated[
        str, typer.Option(help="What is computed in: float32 or bfloat16; weights stay float32.")
    ] = "float32"
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory, a third more time.")
    ] = False
    save_every: Annotated[int, typer.Option(min=0, help="Steps between checkpoints; 0: none.")] = (
        200
    )
    report_to: ReportTo = None
    seed: Seed = 0
    resume: Resume = False

    def shared_settings(self) -> dict[str, Any]:
        """Return what these options come to, as fields of a trainer's settings."""
        choose("--dtype", self.dtype, DTYPES)
        build.check_device(choose("--device", self.device, DEVICES))
        names = ("learning_rate", "gradient_checkpointing", "save_every", "seed")
        return {
            **{name: getattr(self, name) for name in names},
            "cpu": self.device == "cpu",
            "bf16": self.dtype == "bfloat16",
            "report_to": names_in(self.report_to),
        }


@dataclass(frozen=True, slots=True)
class FitOptions(RunOptions):
    """How models are fitted on solutions."""

    max_length: Annotated[int, typer.Option(min=8, help="Most tokens of a solution.")] = 1024
    epochs: Annotated[float, typer.Option(min=0.0, help="Passes over the data.")] = 2.0
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Optimizer steps, in place of --epochs.")
    ] = None
    schedule: Annotated[str, typer.Option(help="cosine, linear or constant.")] = "cosine"
    warmup: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of steps in which it rises; whole steps.")
    ] = 0.03
    weight_decay: Annotated[float, typer.Option(min=0.0, help="AdamW's.")] = 0.0
    batch_size: Annotated[int, typer.Option(min=1, help="Problems per process and batch.")] = 8
    accumulate: Annotated[int, typer.Option(min=1, help="Batches per optimizer step.")] = 1
    no_pack: Annotated[
        bool, typer.Option("--no-pack", help="Each solution in a padded row of its own.")
    ] = False
    lora_rank: Annotated[
        int, typer.Option(min=0, help="Train adapters of this rank, not all weights. [0: all]")
    ] = 0
    shard: Annotated[
        bool, typer.Option("--shard", help="Split the model over torchrun's processes (FSDP2).")
    ] = False

    def for_fit(self) -> dict[str, Any]:
        """Return the arguments that all stages of `train.finetune` share, but for the prompt."""
        from stepnav.train.fit import FitSettings

        choose("--schedule", self.schedule, SCHEDULES)
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        settings = {name: own[name] for name in own.keys() & {f.name for f in fields(FitSettings)}}
        return {
            "max_length": self.max_length,
            "pack": not self.no_pack,
            "lora_rank": self.lora_rank,
            "resume": self.resume,
            "settings": FitSettings(**{**settings, **self.shared_settings()}),
        }


@dataclass(frozen=True, slots=True)
class TrainOptions(FitOptions):
    """What the trainings on a file share."""

    prompt_template: Annotated[
        str, typer.Option(help='How a question is shown; holds {question}; "\\n" is a new line.')
    ] = "{question}\\n"
    problems: Annotated[
        int | None, typer.Option(min=1, help="How many, from the file's first on. [default: all]")
    ] = None

    def for_stages(self) -> dict[str, Any]:
        """Return the arguments that all stages of `train.finetune` share, but for progress."""
        template = self.prompt_template
        if "{question}" not in template:
            raise ConfigError(f"--prompt-template must hold {{question}} (got {template!r})")
        return {"prompt_template": unescape(template), **self.for_fit()}


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """What the trainings of reward models share, beside the rest."""

    separator: Annotated[str, typer.Option(help='Text after each step; "\\n" is a new line.')] = (
        "\\n"
    )
    max_tree_tokens: Annotated[int, typer.Option(min=8, help="Most tokens of a tree.")] = 2048


def train_reward_model(
    files: TrainFiles,
    tree_options: TreeOptions,
    label_options: LabelOptions,
    train_options: TrainOptions,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Train a reward model and tell what came of it.

    Args:
      files, tree_options, label_options, train_options, as_json: as on the command line.
      chosen: other arguments of `finetune_reward_model`.
    """
    require_libraries()
    from stepnav.labels.reader import read_labelled
    from stepnav.train.finetune import finetune_reward_model

    found = read_labelled(files.data, **label_options.for_reader())
    tell_notes(found.report.notes)
    if chosen.get("neutral") and found.kind != "rating":
        note(
            f"--neutral changes nothing: labels of kind {found.kind} have no neutral ones; where 0 "
            "is neutral, say --labels rating"
        )
    if found.kind == "value" and chosen.get("only_outcomes"):
        chosen["head"] = "value"
    limit = train_options.problems
    records = found.records if limit is None else first_problems(found.records, limit)
    chosen["separator"] = unescape(tree_options.separator)
    chosen["max_tree_tokens"] = tree_options.max_tree_tokens
    start = partial(finetune_reward_model, files.model, records, found.kind, files.out, **chosen)
    train(files.out, train_options, as_json, start)


def first_problems(records: list[Any], limit: int) -> list[Any]:
    """Return the records of the first so many problems."""
    problems = dict.fromkeys(record.prompt for record in records)
    kept = set(list(problems)[:limit])
    return [record for record in records if record.prompt in kept]


def train(
    out: Path,
    train_options: TrainOptions,
    as_json: bool,
    stage: Callable[..., TrainReport],
) -> None:
    """Train, and tell what came of it; `stage` takes the arguments that all stages share."""
    arguments = train_options.for_stages()
    report = run_training(out, lambda progress: stage(**arguments, progress=progress))
    if report.fit.is_main:
        _tell(report, out, as_json)


def run_training(
    out: Path, stage: Callable[[Any], TrainReport], *, figure: str = "loss"
) -> TrainReport:
    """Run a training behind its progress, and return what it was trained on.

    Args:
      out: where its checkpoints are.
      stage: trains; takes what is told of each step.
      figure: what that is told.
    """
    from stepnav.train.shards import leave_processes

    with interruptible(lambda: _kept(out)), Stages("steps") as stages:

        def show(done: int, total: int, value: float | None) -> None:
            stages.reach("train", done, total, "" if value is None else f"({figure} {value:.3f})")

        try:
            return stage(show)
        finally:
            leave_processes()


def _kept(out: Path) -> str:
    """Return what there is of a training that was stopped."""
    from stepnav.train.checkpoints import last_checkpoint, step_of
    from stepnav.train.fit import CHECKPOINTS

    last = last_checkpoint(out / CHECKPOINTS, clean=False)  # others may still write theirs
    if last is None:
        return "no checkpoint was saved yet (--save-every), so that it would begin anew"
    return f"the checkpoint of step {step_of(last)} is kept in {out}"


def _tell(report: TrainReport, out: Path, as_json: bool) -> None:
    cut = report.cut
    if cut.solutions:
        note(
            f"{cut.solutions} solutions are longer than {report.max_length} tokens and lost "
            f"their end; {cut.steps} labelled steps were cut, {cut.lost} solutions left out"
        )
    if report.left_out:
        note(
            f"{report.left_out} labelled solutions are only begun or have no label at the end, and "
            f"were left out; outcomes of {report.examples} are learnt"
        )
    losses = [loss for _, loss in report.fit.losses]
    text = ""
    if losses:
        tail = losses[-max(1, len(losses) // 10) :]
        text = (
            f"{report.fit.steps} steps on {report.examples} examples, {report.labels} labelled "
            f"tokens of {report.tokens} read per epoch"
            + (f" ({report.plain_tokens} without sharing)" if report.is_packed else "")
            + f"; loss {losses[0]:.3f} at first, {sum(tail) / len(tail):.3f} in the last tenth"
        )
    tell_saved(report, out, text, as_json)


def tell_saved(report: TrainReport, out: Path, text: str, as_json: bool) -> None:
    """Print what was trained on, as text or as JSON, and where the model is."""
    if as_json:
        print_json({"out": str(out), **report.to_json()})
        return
    if text:
        say(text)
    say(f"Saved to {out}.")


def require_libraries() -> None:
    """Say in one line which library is missing or broken."""
    with (
        importing("training", "what training needs", "train"),
        loading("torch and transformers"),
    ):
        import accelerate  # type: ignore[import-untyped]  # noqa: F401
        import torch  # noqa: F401
        import transformers  # noqa: F401


def unescape(text: str) -> str:
    """Return a text from the command line with its written line ends and tabs as such."""
    return text.replace("\\n", "\n").replace("\\t", "\t")
