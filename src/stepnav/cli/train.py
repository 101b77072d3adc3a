"""`stepnav train sft|prm|orm`: fine-tuning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.cli.console import (
    Interrupted,
    Progress,
    loading,
    print_json,
    resume_command,
    stderr,
    stdout,
)
from stepnav.cli.options import label_arguments
from stepnav.core.errors import ConfigError, choose

if TYPE_CHECKING:
    from stepnav.train.finetune import TrainReport
    from stepnav.train.fit import FitSettings

HEADS = ("three", "two", "value")
NEUTRALS = ("own", "positive", "negative", "masked")
SCHEDULES = ("cosine", "linear", "constant")


def sft(*, model: str, data: Path, out: Path, limit: int | None, **options: Any) -> None:
    """Fine-tune a policy; arguments as in `stepnav train sft --help`."""
    _require_libraries()
    from stepnav.train.finetune import finetune_policy
    from stepnav.train.pairs import read_pairs

    pairs = read_pairs(data)[:limit]
    _run(
        out,
        options,
        lambda common: finetune_policy(model, pairs, out, **common),
    )


def prm(
    *, head: str, neutral: str | None, class_weights: str | None, out: Path, **options: Any
) -> None:
    """Train a process reward model; arguments as in `stepnav train prm --help`."""
    _require_libraries()
    from stepnav.train.heads import default_neutral

    head = choose("--head", head, HEADS)
    policy = default_neutral(head) if neutral is None else choose("--neutral", neutral, NEUTRALS)  # type: ignore[arg-type]
    weights = None if class_weights is None else _numbers("--class-weights", class_weights)
    _reward_model(out, options, head=head, neutral=policy, class_weights=weights)


def orm(*, out: Path, **options: Any) -> None:
    """Train an outcome reward model; arguments as in `stepnav train orm --help`."""
    _reward_model(out, options, head="two", neutral="positive", only_outcomes=True)


def _reward_model(out: Path, options: dict[str, Any], **chosen: Any) -> None:
    _require_libraries()
    from stepnav.labels.reader import read_labelled
    from stepnav.train.finetune import finetune_reward_model

    model, limit = options.pop("model"), options.pop("limit")
    found = read_labelled(options.pop("data"), **label_arguments(options))
    for note in found.report.notes:
        stderr().print(f"note: {note}", soft_wrap=True)
    if found.kind == "value" and chosen.get("only_outcomes"):
        chosen["head"] = "value"
    records = found.records if limit is None else first_problems(found.records, limit)
    chosen["separator"] = unescape(options.pop("separator"))
    chosen["max_tree_tokens"] = options.pop("max_tree_tokens")
    _run(
        out,
        options,
        lambda common: finetune_reward_model(model, records, found.kind, out, **chosen, **common),
    )


def first_problems(records: list[Any], limit: int) -> list[Any]:
    """Return the records of the first so many problems."""
    problems = dict.fromkeys(record.prompt for record in records)
    kept = set(list(problems)[:limit])
    return [record for record in records if record.prompt in kept]


def _run(
    out: Path, options: dict[str, Any], train: Callable[[dict[str, Any]], TrainReport]
) -> None:
    """Train with the options that all stages share, and tell what came of it."""
    from stepnav.train.shards import leave_processes

    as_json = options.pop("as_json")
    steps = _Steps()
    common = {
        "prompt_template": _template(options.pop("prompt_template")),
        "max_length": options.pop("max_length"),
        "pack": not options.pop("no_pack"),
        "lora_rank": options.pop("lora_rank"),
        "resume": options.pop("resume"),
        "settings": _settings(options),
        "progress": steps.show,
    }
    try:
        report = train(common)
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: checkpoints are kept in {out}; go on with: {resume_command()}"
        ) from None
    finally:
        steps.close()
        leave_processes()
    if not report.fit.is_main:
        return
    _tell(report, out, as_json)


def _settings(options: dict[str, Any]) -> FitSettings:
    from stepnav.train.fit import FitSettings

    trackers = options.pop("report_to")
    options["report_to"] = tuple(filter(None, (trackers or "").split(",")))
    options["schedule"] = choose("--schedule", options["schedule"], SCHEDULES)
    return FitSettings(**options)


def _tell(report: TrainReport, out: Path, as_json: bool) -> None:
    cut = report.cut
    if cut.solutions:
        stderr().print(
            f"note: {cut.solutions} solutions are longer than {report.max_length} tokens and lost their end; "
            f"{cut.steps} labelled steps were cut, {cut.lost} solutions left out",
            soft_wrap=True,
        )
    if as_json:
        print_json({"out": str(out), **report.to_json()})
        return
    losses = [loss for _, loss in report.fit.losses]
    console = stdout()
    if losses:
        tail = losses[-max(1, len(losses) // 10) :]
        console.print(
            f"{report.fit.steps} steps on {report.examples} examples, {report.labels} labelled "
            f"tokens of {report.tokens} read per epoch"
            + (f" ({report.plain_tokens} without sharing)" if report.is_packed else "")
            + f"; loss {losses[0]:.3f} at first, {sum(tail) / len(tail):.3f} in the last tenth",
            soft_wrap=True,
        )
    console.print(f"Saved to {out}.", soft_wrap=True)


def _require_libraries() -> None:
    """Say in one line which library is missing."""
    try:
        with loading("torch and transformers"):
            import accelerate  # type: ignore[import-untyped]  # noqa: F401
            import torch  # noqa: F401
            import transformers  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"training needs {error.name}: pip install 'stepnav[train]'") from None


def unescape(text: str) -> str:
    """Return a text from the command line with its written line ends and tabs as such."""
    return text.replace("\\n", "\n").replace("\\t", "\t")


def _template(text: str) -> str:
    if "{question}" not in text:
        raise ConfigError(f"--prompt-template must hold {{question}} (got {text!r})")
    return unescape(text)


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(item) for item in text.split(",")]
    except ValueError:
        raise ConfigError(f"{option} must be numbers with commas between (got {text!r})") from None


class _Steps:
    """Progress over optimizer steps, with the latest loss."""

    def __init__(self) -> None:
        self._bar: Progress | None = None

    def show(self, done: int, total: int, loss: float | None) -> None:
        """Show how far the training is."""
        if self._bar is None:
            self._bar = Progress("train", total, "steps", first=done - 1).__enter__()
        self._bar.reach(done, "" if loss is None else f"(loss {loss:.3f})")

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
