"""Which programs `stepnav data mutate` is to mutate: a benchmark's, or the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from stepnav.cli.options.shared import Data
from stepnav.core.errors import ConfigError
from stepnav.mutate import origins
from stepnav.mutate.reference import Reference
from stepnav.tasks.programs import mbpp

MBPP_SOURCE = "MBPP (Austin et al. 2021), CC BY 4.0; ids 511-600 are validation, 601-974 training."


@dataclass(frozen=True, slots=True)
class Origin:
    """Programs to mutate.

    Attributes:
      name: of the data.
      source: where the programs are from, one line for the data card.
      references: the programs with their tests.
      refused: why the others cannot be used, one line each.
      held_out: operators kept out of training where the user names none.
      left_out: which tests of the user's are not used and why, one line each.
    """

    name: str
    source: str
    references: list[Reference]
    refused: list[str]
    held_out: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OriginOptions:
    """Which programs are mutated, and what tests them."""

    task: Annotated[
        str | None, typer.Option(help="mbpp (ids 511-974); or give --program and --tests.")
    ] = None
    data: Data = None
    ids: Annotated[
        str | None, typer.Option(help="Only these task ids, for instance 601-620,700.")
    ] = None
    program: Annotated[
        list[Path] | None, typer.Option(help="Your own program; may be repeated.")
    ] = None
    tests: Annotated[
        list[Path] | None,
        typer.Option(
            help="Its tests: asserts, pytest, unittest or check(candidate); one per program."
        ),
    ] = None
    function: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this function of it; may be repeated. [default: all that have tests]"
        ),
    ] = None

    def load(self, level: str) -> Origin:
        """Return the programs that mutants are to be made of.

        Args:
          level: sandbox level.
        Raises:
          ConfigError: both or neither are given, or a task that may not be trained on.
          DataError: the benchmark's file is missing or broken.
        """
        task, functions = self.task, self.function or []
        if (task is None) == (not self.program):
            raise ConfigError("give --task mbpp, or --program FILE with --tests FILE, and not both")
        if self.program:
            own = origins.read_own(self.program, self.tests or [], functions=functions, level=level)
            references, refused, left_out = own
            name, source = "own programs", "the user's own."
            return Origin(name, source, references, refused, left_out=tuple(left_out))
        if functions:
            raise ConfigError("--function names a function of --program; a benchmark has --ids")
        if task is not None and task.startswith("humaneval"):
            raise ConfigError("HumanEval is a test set and is never trained on; use --task mbpp")
        if task != "mbpp":
            raise ConfigError(f"there is no mutation data for the task {task!r}; use --task mbpp")
        return _load_mbpp(self.data, self.ids)


def _load_mbpp(data: Path | None, ids: str | None) -> Origin:
    """Return the programs of MBPP with some ids; None is all that may be trained on."""
    low, high = mbpp.ID_RANGES["validation"][0], mbpp.ID_RANGES["train"][1]
    wanted, refused = origins.parse_ids(ids, low, high)
    references = [
        Reference(
            task_id=problem.id,
            preamble=problem.question + "\n",
            source=(problem.answer or "").rstrip() + "\n",
            test="\n".join(problem.metadata["tests"]),
            entry_point=problem.metadata["entry_point"],
            style="mbpp",
            setup=problem.metadata["setup"],
            split=split,
        )
        for split in ("validation", "train")
        for problem in mbpp.load(split, path=data)
        if problem.metadata["task_id"] in wanted
    ]
    found = {int(reference.task_id.rpartition("-")[2]) for reference in references}
    refused += [f"mbpp {n}: the file holds no such task id" for n in wanted if n not in found]
    return Origin("mbpp", MBPP_SOURCE, references, refused, origins.HELD_OUT)
