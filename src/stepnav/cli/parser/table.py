"""Every command: where its function is, and one line on what it does.

A command's module is imported when it is called or its own help is asked for, so that
`stepnav --help` needs the table alone. The signature of the function declares the options, its
docstring is the help. What the parser's own commands lack is added: an option counts once, and one
that was renamed says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from stepnav.cli.parser.signature import flat, paths


@dataclass(frozen=True, slots=True)
class Entry:
    """A command, or a group of commands.

    Attributes:
      line: what it does; of a command the first line of its help.
      module: below `stepnav.cli`; its function `run` is the command. Empty for a group.
      commands: of a group.
    """

    line: str
    module: str = ""
    commands: Mapping[str, Entry] = field(default_factory=dict)


TRAIN = {
    "sft": Entry("Fine-tune a language model on solutions; the prompt is masked.", "train.sft"),
    "prm": Entry("Train a process reward model on labelled steps.", "train.prm"),
    "orm": Entry(
        "Train an outcome reward model: one label per whole solution, at its last step.",
        "train.orm",
    ),
    "expert": Entry(
        "Fine-tune a policy on the right solutions that its own searches find, in rounds.",
        "train.expert",
    ),
    "grpo": Entry(
        "Train a policy by GRPO on its grades and on a reward model's scores of its steps.",
        "train.grpo",
    ),
}

ZOO = {
    "train": Entry(
        "Make the shipped models again: tokenizer, policy, labels, reward model, evaluation, "
        "cards.",
        "zoo",
    ),
}

DATA = {
    "inspect": Entry(
        "Tell what a file of step labels holds, and what a training would leave out of it and why.",
        "data.inspect_labels",
    ),
    "convert": Entry(
        "Write a file of step labels in TRL's stepwise form: prompt, completions, labels, and "
        "origin.",
        "data.convert",
    ),
    "mutate": Entry(
        "Make step-labelled data of reference programs by mutation testing.", "data.mutate"
    ),
    "merge": Entry("Make one data set of the shards of a campaign.", "data.merge"),
    "rollouts": Entry(
        "Label the steps of a policy's own solutions by completing them from each prefix.",
        "data.rollouts",
    ),
}

COMMANDS: Mapping[str, Entry] = {
    "solve": Entry("Solve a problem and watch the tree grow.", "solve"),
    "bench": Entry("Compare strategies on the same problems, at the same budgets.", "bench"),
    "tune": Entry(
        "Find the best options of each strategy for each budget, for `bench --tuned`.", "tune"
    ),
    "report": Entry(
        "Make the report of a run: tables, plot, Markdown, HTML, JSON, Parquet.", "report"
    ),
    "merge": Entry("Make one run of its shards, and its report.", "merge"),
    "show": Entry("Show the search trees of one problem again, from the journal.", "show"),
    "serve": Entry(
        "Serve search behind an OpenAI-compatible endpoint; alone, the shipped models.", "serve"
    ),
    "check": Entry(
        "Tell on one page whether policy, prompt, task and reward model fit; exit code 1 if not.",
        "check",
    ),
    "grade": Entry("Grade model-written programs in the sandbox and report pass@k.", "grade"),
    "eval-prm": Entry("Measure a reward model, with intervals over problems.", "eval_prm"),
    "calibrate": Entry(
        "Fit the temperature that makes a reward model's probabilities honest, and store it with "
        "it.",
        "calibrate",
    ),
    "strategies": Entry(
        "List the strategies, or the options of one: types, defaults, ranges, and the paper.",
        "strategies",
    ),
    "train": Entry("Fine-tuning of policies and reward models.", commands=TRAIN),
    "zoo": Entry("The models that ship with the package.", commands=ZOO),
    "data": Entry("Step-labelled training data.", commands=DATA),
}


RENAMED: Mapping[str, str] = {
    "--bf16": "--dtype bfloat16",
    "--cpu": "--device cpu",
    "--labels": "--estimate",
    "--limit": "--problems",
}
"""Option of earlier versions -> what it is called now, in the commands that have it no more."""


NAMES = frozenset({"model", "policy", "reward", "task"})
"""Arguments that name a file, a folder or something else."""


class OnceCommand(TyperCommand):
    """Refuses old spellings, an option given twice that is not meant to be, and an empty path."""

    paths: Collection[str] = ()
    """Arguments that are files and folders."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of a command line; called by the parser's library."""
        known = {name for param in self.get_params(ctx) for name in param.opts}
        names = [word.partition("=")[0] for word in args]
        for name in [name for name in names if name in RENAMED and name not in known]:
            new = RENAMED[name]
            if new.split()[0] in known:
                raise typer.BadParameter(f"{name} is called {new} now")
        given, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for param in order:
            self._refuse_empty(param, given.get(param.name))
            if order.count(param) > 1 and not (
                getattr(param, "multiple", False) or getattr(param, "count", False)
            ):
                raise typer.BadParameter(
                    f"{max(param.opts, key=len)} is given {order.count(param)} times; give it once"
                )
        return super().parse_args(ctx, args)

    def _refuse_empty(self, param: Any, given: Any) -> None:
        """Refuse an empty name, as of an unset variable: it would stand for the current folder."""
        values = given if isinstance(given, (list, tuple)) else [given]
        if "" in values and (param.name in self.paths or param.name in NAMES):
            raise typer.BadParameter(f"{max(param.opts, key=len)} is empty, which names nothing")


class TableGroup(TyperGroup):
    """A group whose commands stand in a table."""

    def __init__(self, *, table: Mapping[str, Entry] = COMMANDS, **options: Any) -> None:
        super().__init__(**options)
        self.commands: Any = _Opened(table)
        self._lines = [(name, entry.line) for name, entry in table.items()]

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands; called by the parser's library."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands with their lines, none of them cut; called by the parser's library."""
        with formatter.section("Commands"):
            formatter.write_dl(self._lines)


class _Opened(Mapping[str, Any]):
    """A table in which the parser finds commands; each is imported when it is looked up."""

    def __init__(self, table: Mapping[str, Entry]) -> None:
        self._table = table

    def __getitem__(self, name: str) -> Any:
        entry = self._table[name]
        if not entry.module:
            options: dict[str, Any] = {"no_args_is_help": True, "rich_markup_mode": None}
            return TableGroup(name=name, help=entry.line, table=entry.commands, **options)
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        run = flat(import_module(f"stepnav.cli.{entry.module}").run)
        app.command(name, cls=OnceCommand)(run)
        command: Any = typer.main.get_command(app)
        command.paths = paths(run)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)
