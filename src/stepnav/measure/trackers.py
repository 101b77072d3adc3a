"""A comparison told to trackers: who is right so far, and at the end the report."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from stepnav.core.errors import ConfigError
from stepnav.measure.plan import BenchPlan
from stepnav.measure.plan_file import plan_object
from stepnav.measure.runner import Finished

PROJECT = "stepnav"
REPORTED = (
    "accuracy", "policy_tokens_per_problem", "reward_tokens_per_problem", "flops_per_problem",
    "requests_per_problem", "wall_s",
)  # fmt: skip
"""Fields of a row of the report that are told at the end."""


class Tracker(Protocol):
    """One tracker's run."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Tell some values; `step` is how many searches have ended."""

    def finish(self) -> None:
        """End the run."""


class Trackers:
    """All trackers of a comparison.

    Args:
      trackers: none is fine.
      verdicts: what the journal holds from before, by search.
    """

    def __init__(
        self, trackers: Sequence[Tracker], verdicts: Mapping[str, bool | None] | None = None
    ) -> None:
        self._trackers = trackers
        self._right: Counter[str] = Counter()
        self._graded: Counter[str] = Counter()
        self._num_done = 0
        for search_id, correct in (verdicts or {}).items():
            self._count(search_id, correct)

    def tell(self, found: Finished) -> None:
        """Tell that a search has ended: the share of right answers of its strategy and budget."""
        group = self._count(found.search_id, found.correct)
        values: dict[str, float] = {f"{group}/searches": self._graded[group]}
        if self._graded[group]:
            values[f"{group}/accuracy"] = self._right[group] / self._graded[group]
        self._log(values)

    def tell_report(self, report: Mapping[str, Any]) -> None:
        """Tell the rows of a report (`report_object`)."""
        for row in report["rows"]:
            group = f"{row['label']}/{row['budget'] or 'unlimited'}"
            self._log({f"{group}/{n}": row[n] for n in REPORTED if row[n] is not None})

    def _count(self, search_id: str, correct: bool | None) -> str:
        group = "/".join(search_id.split("/")[:2])
        self._num_done += 1
        self._graded[group] += correct is not None
        self._right[group] += correct is True
        return group

    def _log(self, values: Mapping[str, float]) -> None:
        for tracker in self._trackers:
            tracker.log(values, self._num_done)


@contextmanager
def tracked(
    names: Sequence[str], folder: Path, plan: BenchPlan, verdicts: Mapping[str, bool | None]
) -> Iterator[Trackers]:
    """Open trackers for a run folder, and end their runs; `check_trackers` was called.

    Args:
      names: of trackers.
      folder: the run's; gives the run its name there, and holds what is written to files.
      plan: told as the run's configuration.
      verdicts: what the journal holds from before, by search.
    """
    opened: list[Tracker] = []
    try:
        with redirect_stdout(sys.stderr):  # some say hello there, where results belong
            for name in names:
                opened.append(_TABLE[name](folder, plan))
        yield Trackers(opened, verdicts)
    finally:
        with redirect_stdout(sys.stderr):
            for tracker in opened:
                tracker.finish()


def check_trackers(names: Sequence[str]) -> None:
    """Refuse a tracker that cannot be used, before anything is run.

    Raises:
      ConfigError: it is unknown or not installed.
    """
    there = [name for name in _TABLE if find_spec(name) is not None]
    for name in names:
        if name not in there:
            raise ConfigError(
                f"--report-to {name!r} is unknown or not installed; there is "
                f"{', '.join(there) or 'none'} (of {', '.join(_TABLE)})"
            )


class _Board:
    """TensorBoard's files, through torch's writer."""

    def __init__(self, folder: Path, plan: BenchPlan) -> None:
        self._writer = import_module("torch.utils.tensorboard").SummaryWriter(folder / "tracker")
        self._writer.add_text("plan", f"```\n{plan_object(plan)}\n```")

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        self._writer.close()


def _wandb(folder: Path, plan: BenchPlan) -> Tracker:
    """Return a run of Weights & Biases; its files go to the run folder."""
    run: Tracker = import_module("wandb").init(
        project=PROJECT, name=folder.name, dir=str(folder), config=plan_object(plan)
    )
    return run


def _trackio(folder: Path, plan: BenchPlan) -> Tracker:
    """Return a run of Trackio."""
    run: Tracker = import_module("trackio").init(
        project=PROJECT, name=folder.name, config=plan_object(plan)
    )
    return run


_TABLE: Mapping[str, Callable[[Path, BenchPlan], Tracker]] = {
    "tensorboard": _Board,
    "trackio": _trackio,
    "wandb": _wandb,
}
