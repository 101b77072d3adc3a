"""`stepnav train grpo`: GRPO with a process reward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepnav import build
from stepnav.cli.console import loading
from stepnav.cli.data.rollouts_problems import check_split
from stepnav.cli.options.shared import AsJson, Reward, Sandbox, Split, TaskName, TaskOptions
from stepnav.cli.remarks import tell_problems
from stepnav.cli.train.training import (
    FirstModel,
    RunOptions,
    require_libraries,
    run_training,
    tell_saved,
)
from stepnav.core.errors import ConfigError, choose

if TYPE_CHECKING:
    from stepnav.train.reward_function import RewardFunction
    from stepnav.train.rl.grpo import GrpoSettings

CREDITS = ("solution", "step")
CREDIT, AGGREGATION = "step", "min"
DEFAULTS = RunOptions(learning_rate=1e-6, save_every=50)


@dataclass(frozen=True, slots=True)
class GrpoOptions:
    """What is sampled, and what it is worth."""

    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps.")] = 100
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Stop once so many tokens were generated.")
    ] = None
    problems_per_step: Annotated[int, typer.Option(min=1, help="Problems of a step.")] = 8
    samples: Annotated[int, typer.Option(min=2, help="Solutions of each: the group.")] = 8
    batch_size: Annotated[int, typer.Option(min=1, help="Solutions in one pass of a process.")] = 16
    temperature: Annotated[float, typer.Option(min=0.01, help="Of the samples.")] = 1.0
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a solution.")] = 256
    kl: Annotated[
        float, typer.Option(min=0.0, help="Weight of the divergence from the starting model.")
    ] = 0.0
    outcome_weight: Annotated[float, typer.Option(min=0.0, help="Of the task's grade.")] = 1.0
    reward_weight: Annotated[
        float, typer.Option(min=0.0, help="Of the reward model's values; 0: only logged.")
    ] = 0.0
    credit: Annotated[
        str,
        typer.Option(
            help="A step's value counts from the step on (step), or all of them as one reward of "
            "the solution (solution)."
        ),
    ] = CREDIT

    def settings(self, run_options: RunOptions) -> GrpoSettings:
        """Return the trainer's settings."""
        from stepnav.train.rl.grpo import GrpoSettings

        own = {**asdict(self), "credit": choose("--credit", self.credit, CREDITS)}
        return GrpoSettings(**own, **run_options.shared_settings())


def run(
    *,
    model: FirstModel,
    out: Annotated[Path, typer.Option(help="Folder of the new model, and of its checkpoints.")],
    task: TaskName = "arithmetic",
    split: Split = None,
    task_options: TaskOptions,
    problems: Annotated[int, typer.Option(min=1, help="How many are trained on.")] = 1000,
    reward: Reward = None,
    aggregation: Annotated[
        str, typer.Option(help="Of a solution's step values: last, min, mean or prod.")
    ] = AGGREGATION,
    grpo_options: GrpoOptions,
    chat: Annotated[bool, typer.Option("--chat", help="Prompt with the chat template.")] = False,
    sandbox: Sandbox = "process",
    run_options: RunOptions = DEFAULTS,
    as_json: AsJson = False,
) -> None:
    """Train a policy by GRPO on its grades and on a reward model's scores of its steps.

    Runs on TRL. The policy must end its solutions itself (train sft first). log.jsonl in the folder
    says of each step how many solutions are right, and how many wrong ones the reward model
    accepts.

    Examples:

      stepnav train grpo --model arithmetic --out runs/grpo

      stepnav train grpo --model arithmetic --reward arithmetic --reward-weight 1 --out runs/steps
    """
    from stepnav.train.rl.trl_versions import require_trl

    require_libraries()
    require_trl()
    settings = grpo_options.settings(run_options)
    if reward is None and (aggregation, settings.credit) != (AGGREGATION, CREDIT):
        raise ConfigError("--aggregation and --credit are of a reward model; name one (--reward)")
    benchmark = task_options.load(task, sandbox=sandbox)
    check_split(benchmark, split)
    folder = trained_folder(model)
    drawn = benchmark.load(split or "train", problems, settings.seed, task_options.data)
    tell_problems(drawn, problems, f"{task}/{split or 'train'}")
    with loading("trl"):
        from stepnav.train.rl.grpo import train_grpo
    with _opened(reward, aggregation, run_options) as scorer:
        report = run_training(
            out,
            lambda progress: train_grpo(
                str(folder), drawn, benchmark, out, reward=scorer, reward_name=reward,
                format_=build.policy_format(folder, benchmark, chat=chat), settings=settings,
                resume=run_options.resume, progress=progress,
            ),
            figure="reward",
        )  # fmt: skip
    if report.fit.is_main:
        text = (
            f"{report.fit.steps} steps, {report.examples} solutions of {report.tokens} tokens "
            "generated and learnt from"
        )
        tell_saved(report, out, text, as_json)


def trained_folder(model: str) -> Path:
    """Return the folder of a policy that is to be trained.

    Raises:
      ConfigError: there is none, or the policy is on a server.
    """
    folder = build.policy_folder(model)
    if folder is None:
        raise ConfigError(f"what is trained must be a model's folder or a hub name (got {model})")
    return folder


@contextmanager
def _opened(
    reward: str | None, aggregation: str, options: RunOptions
) -> Iterator[RewardFunction | None]:
    """Open the reward model, if one is named, where the policy is trained."""
    if reward is None:
        yield None
        return
    import torch

    from stepnav.train.reward_function import as_reward_function

    is_gpu = options.device != "cpu" and torch.cuda.is_available()
    with loading("the reward model"):
        backend = build.open_reward(reward, device="cuda" if is_gpu else "cpu")
    with closing(backend):
        yield as_reward_function(backend, aggregation=aggregation)
