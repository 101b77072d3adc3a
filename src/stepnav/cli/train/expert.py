"""`stepnav train expert`: expert iteration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepnav import build
from stepnav.cli.console import Stages, interruptible, print_json, say
from stepnav.cli.data.rollouts_problems import check_split
from stepnav.cli.options.shared import AsJson, Reward, Sandbox, Split, TaskName, TaskOptions
from stepnav.cli.remarks import tell_problems
from stepnav.cli.train.grpo import trained_folder
from stepnav.cli.train.training import FirstModel, FitOptions, require_libraries, run_training
from stepnav.core.errors import ConfigError, choose
from stepnav.core.requests import REWARD
from stepnav.core.seeds import derive_seed
from stepnav.files.claim import claim_folder
from stepnav.files.lock import locked
from stepnav.measure.extras import check_installed

if TYPE_CHECKING:
    from stepnav.core.strategy import Strategy
    from stepnav.tasks.task import Task
    from stepnav.train.pairs import Pair
    from stepnav.train.rl.expert import Found, RoundReport
    from stepnav.train.saving import TrainReport

KEEPS = ("grade", "right-prob")
CLAIM = "expert.json"
LEAST_RIGHT_PROB = 0.9
DEFAULTS = FitOptions(learning_rate=2e-5)


@dataclass(frozen=True, slots=True)
class ExpertOptions:
    """How solutions are found, and which are learnt from."""

    rounds: Annotated[int, typer.Option(min=1, help="Searches and fine-tunings in turn.")] = 3
    problems: Annotated[int, typer.Option(min=1, help="Problems of a round.")] = 200
    searches: Annotated[int, typer.Option(min=1, help="Searches of each problem.")] = 4
    strategy: Annotated[
        str, typer.Option(help="Who searches: NAME, or NAME:OPTION=VALUE:OPTION=VALUE.")
    ] = "cot:temperature=1"
    budget: Annotated[
        int | None, typer.Option(min=1, help="Generated tokens per search. [default: no limit]")
    ] = None
    keep: Annotated[
        str,
        typer.Option(
            help="Learn from solutions that are graded right (grade), or that the search takes for "
            "right (right-prob), whatever the grade."
        ),
    ] = "grade"
    least_right_prob: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="--keep right-prob: the least it must be.")
    ] = LEAST_RIGHT_PROB
    from_first: Annotated[
        bool, typer.Option("--from-first", help="Fine-tune the first model in every round.")
    ] = False


@dataclass(frozen=True, slots=True)
class _Searcher:
    """Searches the problems of a round with the policy that it has."""

    task: Task
    split: str
    data: Path | None
    reward: str | None
    device: str
    seed: int
    options: ExpertOptions

    def __call__(self, policy: str, number: int, folder: Path) -> list[Found]:
        from stepnav.front.comparing import bench
        from stepnav.train.rl.expert import Found

        seed = derive_seed(self.seed, "expert", number) % 2**31  # other problems in each round
        drawn = self.task.load(self.split, self.options.problems, seed, self.data)
        if number == 1:
            tell_problems(drawn, self.options.problems, f"{self.task.name}/{self.split}")
        title = f"search, round {number} of {self.options.rounds}"
        with Stages("searches") as stages:
            found = bench(
                replace(self.task, load=lambda *_: drawn),
                [self.options.strategy],
                policy=policy,
                reward=self.reward,
                budgets=(self.options.budget,),
                split=self.split,
                seeds=self.options.searches,
                seed=self.seed,
                out=folder,
                max_active=192,
                progress=partial(stages.reach, title),
                device=self.device,
            )
        return [
            Found(
                tree.result.outcome.trajectory, row.correct, row.right_prob, row.policy_tokens,
                row.reward_tokens,
            )
            for row, tree in zip(found.rows, found.trees, strict=True)
        ]  # fmt: skip


def run(
    *,
    model: FirstModel,
    out: Annotated[Path, typer.Option(help="Folder of the rounds, each with its searches.")],
    task: TaskName = "arithmetic",
    split: Split = None,
    task_options: TaskOptions,
    reward: Reward = None,
    expert_options: ExpertOptions,
    sandbox: Sandbox = "process",
    fit_options: FitOptions = DEFAULTS,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a policy on the right solutions that its own searches find, in rounds.

    Each round searches new training problems with the last round's model, and leaves a folder:
    search (a run, see stepnav report), kept.jsonl, and model.

    Examples:

      stepnav train expert --model arithmetic --out runs/expert

      stepnav train expert --model arithmetic --strategy nav --keep right-prob --out runs/nav
    """
    require_libraries()
    check_installed()
    from stepnav.train.rl.expert import improve, round_model

    strategy = _strategy(expert_options, reward)
    benchmark = task_options.load(task, sandbox=sandbox)
    check_split(benchmark, split)
    folder = trained_folder(model)
    template = _template(folder, benchmark)
    build.check_models(policy=model, reward=reward, task=benchmark, policy_model=None)
    arguments = fit_options.for_fit()
    data = None if task_options.data is None else str(task_options.data)
    asked = {"model": model, "task": task, "split": split, "reward": reward, "data": data}
    claim = {**asked, **_claimed(expert_options, fit_options)}
    claim_folder(out / CLAIM, claim, noun="expert iteration", resume=fit_options.resume)
    searcher = _Searcher(
        benchmark, split or "train", task_options.data, reward, fit_options.device,
        fit_options.seed, expert_options,
    )  # fmt: skip
    with locked(out), interruptible(lambda: _kept(out, expert_options.rounds)):
        reports = improve(
            str(folder),
            out,
            rounds=expert_options.rounds,
            search=searcher,
            finetune=partial(_finetune, {**arguments, "resume": True}, template),
            by=expert_options.keep,  # type: ignore[arg-type]
            least=expert_options.least_right_prob,
            from_first=expert_options.from_first,
            tell=lambda report: None if as_json else _tell(report, strategy.label),
        )
    _tell_end(round_model(out, expert_options.rounds), reports, as_json)


def _strategy(options: ExpertOptions, reward: str | None) -> Strategy:
    """Return who searches.

    Raises:
      ConfigError: there is no such strategy, or another option cannot be used or would do nothing.
    """
    choose("--keep", options.keep, KEEPS)
    if options.keep == "grade" and options.least_right_prob != LEAST_RIGHT_PROB:
        raise ConfigError("--keep grade asks for no P(right); leave --least-right-prob out")
    strategy = build.parse_strategy(options.strategy)
    if reward is not None and REWARD not in strategy.models:
        raise ConfigError(f"{strategy.label} scores nothing; leave --reward out")
    return strategy


def _kept(out: Path, rounds: int) -> str:
    """Return what there is of an iteration that was stopped."""
    from stepnav.train.rl.expert import ROUND

    done = len(list(out.glob(f"round-*/{ROUND}")))
    return f"{done} of {rounds} rounds are done, and the searches of the next are kept in {out}"


def _template(folder: Path, task: Task) -> str:
    """Return how the policy is prompted.

    Raises:
      ConfigError: by a chat template, which fine-tuning does not use.
    """
    prompted = build.policy_format(folder, task)
    if prompted.is_chat:
        raise ConfigError(f"{folder} is prompted by its chat template, and fine-tuning is not")
    return prompted.prompt_template


def _claimed(options: ExpertOptions, fit: FitOptions) -> dict[str, Any]:
    """Return what the models depend on; more rounds may be asked for later."""
    free = {"device", "report_to", "resume", "save_every", "gradient_checkpointing", "shard"}
    found = {**asdict(options), **asdict(fit)}
    return {name: value for name, value in found.items() if name not in {*free, "rounds"}}


def _tell_end(model: Path, reports: Sequence[RoundReport], as_json: bool) -> None:
    if as_json:
        print_json({"model": str(model), "rounds": [asdict(report) for report in reports]})
    else:
        say(f"Saved to {model}.")


def _finetune(
    arguments: dict[str, Any], prompt_template: str, model: str, pairs: Sequence[Pair], out: Path
) -> TrainReport:
    from stepnav.train.finetune import finetune_policy

    return run_training(
        out,
        lambda progress: finetune_policy(
            model, pairs, out, prompt_template=prompt_template, progress=progress, **arguments
        ),
    )


def _tell(report: RoundReport, strategy: str) -> None:
    ungraded = f" ({report.ungraded} not graded)" if report.ungraded else ""
    say(
        f"round {report.number}: {report.correct} of {report.searches} searches by {strategy} "
        f"right{ungraded}, {report.policy_tokens} policy tokens; {report.kept} solutions learnt, "
        f"{report.labelled_tokens} tokens an epoch, {report.steps} steps"
    )
