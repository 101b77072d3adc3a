"""One run of the parts of it that several machines have made."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.shard import Shard, what_lacks
from stepnav.files.atomic import whole_folder
from stepnav.files.lock import locked
from stepnav.measure.plan import SHARD, BenchPlan, cells, problem_of
from stepnav.measure.plan_file import differences, plan_digest, write_plan
from stepnav.measure.run_folder import JOURNAL_NAME, check_is_free, open_run
from stepnav.run.journal import Journal


def merge_runs(runs: Sequence[Path], out: Path) -> None:
    """Make one run folder of several, which hold all searches of one plan, each once.

    What is made is what one run would have made; its seconds are the sums of theirs.

    Args:
      runs: their folders, in any order: shards, or any other parts of the plan's searches.
      out: the new folder.
    Raises:
      ConfigError: the plans differ, a shard or a search is missing or given twice, a folder is in
        use, or `out` holds something.
      DataError, JournalError: a folder is no run, or is broken.
    """
    check_is_free(out)
    _check_distinct(runs)
    with contextlib.ExitStack() as stack:
        opened = []
        for run in runs:
            plan, journal = open_run(run)
            stack.callback(journal.close)
            stack.enter_context(locked(run))
            opened.append((run, plan, journal))
        whole = _common_plan([(run, plan) for run, plan, _ in opened])
        _check_searches(whole, {run: journal.result_ids() for run, _, journal in opened})
        folder = stack.enter_context(whole_folder(out))
        write_plan(whole, folder)
        merged = Journal(folder / JOURNAL_NAME, plan_digest(whole))
        with contextlib.closing(merged):
            for _, _, journal in opened:
                merged.absorb(journal)


def _check_distinct(runs: Sequence[Path]) -> None:
    places = [run.resolve() for run in runs]
    for run, place in zip(runs, places):
        if places.count(place) > 1:
            raise ConfigError(f"{run} is given twice; name each run folder once")


def _common_plan(plans: Sequence[tuple[Path, BenchPlan]]) -> BenchPlan:
    """Return the plan that the parts have in common.

    Raises:
      ConfigError: there is none, or shards are missing.
    """
    wholes = [(run, _without_shard(plan)) for run, plan in plans]
    first, whole = wholes[0]
    for run, other in wholes[1:]:
        if found := differences(whole, other):
            raise ConfigError(
                f"{first} and {run} are runs of different plans: {found[0]} against {found[1]}"
            )
    shards = [Shard.parse(plan.settings[SHARD]) for _, plan in plans if SHARD in plan.settings]
    if shards and len(shards) == len(plans) and (lacking := what_lacks(shards)):
        raise ConfigError(lacking)
    return whole


def _without_shard(plan: BenchPlan) -> BenchPlan:
    kept = {name: value for name, value in plan.settings.items() if name != SHARD}
    return replace(plan, settings=kept)


def _check_searches(plan: BenchPlan, found: dict[Path, list[str]]) -> None:
    """Refuse parts that do not hold every search of the plan once.

    Raises:
      ConfigError: two of them hold the same search.
      DataError: a search is in none.
    """
    place: dict[str, Path] = {}
    for run, search_ids in found.items():
        for search_id in search_ids:
            if search_id in place:
                raise ConfigError(
                    f"the search {search_id} is in {place[search_id]} and in {run}; give it once"
                )
            place[search_id] = run
    problems = list(dict.fromkeys(map(problem_of, place)))
    wanted = plan.searches_per_problem * (plan.problems or 0)
    every = cells(replace(plan, problems=None), problems) if problems else []
    missing = [cell.search_id for cell in every if cell.search_id not in place]
    if missing or len(place) < wanted:
        first = f" (the first: {missing[0]})" if missing else ""
        raise DataError(
            f"{len(place)} of {wanted} searches are done{first}; go on in the unfinished folders "
            "with stepnav bench --resume, or give the missing ones too"
        )
