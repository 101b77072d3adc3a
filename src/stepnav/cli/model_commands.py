"""Declares the subcommands that make and check models; each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stepnav.cli.options import (
    AsJson,
    Device,
    ExcludeProblems,
    LabelFormat,
    LabelKinds,
    LeaveOut,
    Seed,
    arguments,
)

train_app = typer.Typer(
    help="Fine-tuning of policies and reward models.", no_args_is_help=True, rich_markup_mode=None
)
zoo_app = typer.Typer(
    help="The models that ship with the package.", no_args_is_help=True, rich_markup_mode=None
)


@zoo_app.command("train")
def zoo_train(
    out: Annotated[Path, typer.Option(help="Folder for the models and all in between.")],
    task: Annotated[str, typer.Option(help="Whose models.")] = "arithmetic",
    scale: Annotated[
        str, typer.Option(help="cpu (the shipped models, hours on two cores) or tiny (a trial).")
    ] = "cpu",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what the folder holds.")
    ] = False,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Make the shipped models again: tokenizer, policy, labels, reward model, evaluation, cards.

    Example:

      stepnav zoo train --out runs/zoo --resume
    """
    from stepnav.cli import zoo as command

    command.run(**arguments(locals()))


Model = Annotated[str, typer.Option(help="Checkpoint to begin with: a folder or a hub name.")]
TrainData = Annotated[Path, typer.Option(help="What it learns from.")]
TrainOut = Annotated[Path, typer.Option(help="Folder of the new model, and of its checkpoints.")]
PromptTemplate = Annotated[
    str, typer.Option(help='How a question is shown; holds {question}; "\\n" is a new line.')
]
MaxLength = Annotated[int, typer.Option(min=8, help="Most tokens of a solution.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many pairs or problems.")]
Epochs = Annotated[float, typer.Option(min=0.0, help="Passes over the data.")]
MaxSteps = Annotated[int | None, typer.Option(min=1, help="Stop after so many optimizer steps.")]
LearningRate = Annotated[float, typer.Option(min=0.0, help="Its highest value.")]
Schedule = Annotated[str, typer.Option(help="cosine, linear or constant.")]
Warmup = Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of steps in which it rises.")]
WeightDecay = Annotated[float, typer.Option(min=0.0, help="AdamW's.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Problems per process and batch.")]
Accumulate = Annotated[int, typer.Option(min=1, help="Batches per optimizer step.")]
NoPack = Annotated[
    bool, typer.Option("--no-pack", help="Each solution in a padded row of its own.")
]
LoraRank = Annotated[
    int, typer.Option(min=0, help="Train adapters of this rank, not all weights. [0: all]")
]
Bf16 = Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16.")]
GradientCheckpointing = Annotated[
    bool, typer.Option("--gradient-checkpointing", help="Less memory, a third more time.")
]
Shard = Annotated[
    bool, typer.Option("--shard", help="Split the model over torchrun's processes (FSDP2).")
]
SaveEvery = Annotated[int, typer.Option(min=0, help="Steps between checkpoints; 0: none.")]
ReportTo = Annotated[
    str | None, typer.Option(help="Trackers, comma-separated: tensorboard, wandb, mlflow, ...")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a training.")]
Cpu = Annotated[bool, typer.Option("--cpu", help="Stay on the CPU although there is a GPU.")]


@train_app.command("sft")
def train_sft(
    model: Model,
    data: TrainData,
    out: TrainOut,
    prompt_template: PromptTemplate = "{question}\\n",
    max_length: MaxLength = 1024,
    limit: Limit = None,
    epochs: Epochs = 3.0,
    max_steps: MaxSteps = None,
    learning_rate: LearningRate = 2e-5,
    schedule: Schedule = "cosine",
    warmup: Warmup = 0.03,
    weight_decay: WeightDecay = 0.0,
    batch_size: BatchSize = 8,
    accumulate: Accumulate = 1,
    no_pack: NoPack = False,
    lora_rank: LoraRank = 0,
    bf16: Bf16 = False,
    gradient_checkpointing: GradientCheckpointing = False,
    shard: Shard = False,
    save_every: SaveEvery = 200,
    report_to: ReportTo = None,
    seed: Seed = 0,
    cpu: Cpu = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a language model on solutions; the prompt is masked.

    Data: JSON lines with prompt and completion, question and answer (GSM8K), or problem and solution (MATH).

    Examples:

      stepnav train sft --model ./base --data train12k.jsonl.gz --out ./math-sft

      torchrun --nproc_per_node 8 -m stepnav train sft --model ./base --data train.jsonl --out ./sft --bf16
    """
    from stepnav.cli import train as command

    command.sft(**arguments(locals()))


@train_app.command("prm")
def train_prm(
    model: Model,
    data: TrainData,
    out: TrainOut,
    head: Annotated[str, typer.Option(help="three (classes), two, or value (soft labels).")] = (
        "three"
    ),
    neutral: Annotated[
        str | None,
        typer.Option(
            help="Neutral labels: own (class), positive, negative or masked. [default: own; of two classes: positive]"
        ),
    ] = None,
    class_weights: Annotated[
        str | None, typer.Option(help="Weights of the losses by class, comma-separated.")
    ] = None,
    separator: Annotated[str, typer.Option(help='Text after each step; "\\n" is a new line.')] = (
        "\\n"
    ),
    form: LabelFormat = None,
    labels: LabelKinds = None,
    exclude_problems: ExcludeProblems = None,
    leave_out: LeaveOut = None,
    prompt_template: PromptTemplate = "{question}\\n",
    max_length: MaxLength = 1024,
    max_tree_tokens: Annotated[int, typer.Option(min=8, help="Most tokens of a tree.")] = 2048,
    limit: Limit = None,
    epochs: Epochs = 2.0,
    max_steps: MaxSteps = None,
    learning_rate: LearningRate = 1e-5,
    schedule: Schedule = "cosine",
    warmup: Warmup = 0.03,
    weight_decay: WeightDecay = 0.0,
    batch_size: BatchSize = 8,
    accumulate: Accumulate = 1,
    no_pack: NoPack = False,
    lora_rank: LoraRank = 0,
    bf16: Bf16 = False,
    gradient_checkpointing: GradientCheckpointing = False,
    shard: Shard = False,
    save_every: SaveEvery = 200,
    report_to: ReportTo = None,
    seed: Seed = 0,
    cpu: Cpu = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Train a process reward model on labelled steps.

    Data: PRM800K, Math-Shepherd, TRL's stepwise form, or what `stepnav data` makes. Solutions that begin alike share
    those tokens (--no-pack: each is read whole).

    Examples:

      stepnav train prm --model ./math-sft --data phase1_train.jsonl.gz --out ./prm

      stepnav train prm --model ./base --data rollouts.jsonl --head value --out ./prm
    """
    from stepnav.cli import train as command

    command.prm(**arguments(locals()))


@train_app.command("orm")
def train_orm(
    model: Model,
    data: TrainData,
    out: TrainOut,
    separator: Annotated[str, typer.Option(help='Text after each step; "\\n" is a new line.')] = (
        "\\n"
    ),
    form: LabelFormat = None,
    labels: LabelKinds = None,
    exclude_problems: ExcludeProblems = None,
    leave_out: LeaveOut = None,
    prompt_template: PromptTemplate = "{question}\\n",
    max_length: MaxLength = 1024,
    max_tree_tokens: Annotated[int, typer.Option(min=8, help="Most tokens of a tree.")] = 2048,
    limit: Limit = None,
    epochs: Epochs = 2.0,
    max_steps: MaxSteps = None,
    learning_rate: LearningRate = 1e-5,
    schedule: Schedule = "cosine",
    warmup: Warmup = 0.03,
    weight_decay: WeightDecay = 0.0,
    batch_size: BatchSize = 8,
    accumulate: Accumulate = 1,
    no_pack: NoPack = False,
    lora_rank: LoraRank = 0,
    bf16: Bf16 = False,
    gradient_checkpointing: GradientCheckpointing = False,
    shard: Shard = False,
    save_every: SaveEvery = 200,
    report_to: ReportTo = None,
    seed: Seed = 0,
    cpu: Cpu = False,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Train an outcome reward model: one label per whole solution, at its last step.

    A solution is right unless one of its steps is labelled wrong. The model is read like a PRM; rank whole
    solutions by the last step's score (aggregation last).

    Example:

      stepnav train orm --model ./math-sft --data phase1_train.jsonl.gz --out ./orm
    """
    from stepnav.cli import train as command

    command.orm(**arguments(locals()))
