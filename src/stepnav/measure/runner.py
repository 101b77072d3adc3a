"""Running searches of a plan into its journal, and reading the rows back out of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType

from stepnav.core.backend import Backend
from stepnav.core.budget import Budget
from stepnav.core.errors import JournalError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.measure.plan import BenchPlan, Cell, cells, problem_of
from stepnav.measure.rows import ResultRow, make_row, says_nothing
from stepnav.run.driver import Driver
from stepnav.run.journal import Entry, Journal
from stepnav.run.search import Search

Grade = Callable[[Problem, "str | None"], "bool | None"]
HasRight = Callable[[SearchResult, "bool | None"], "bool | None"]
Group = tuple[str, "int | None"]


@dataclass(frozen=True, slots=True)
class Finished:
    """A search that has ended.

    Attributes:
      search_id: which it is.
      label: what it is a search of, for people.
      is_new: whether it was run now; what the journal held from before has nothing of the rest.
      correct: whether its answer is right, None if that is not known.
    """

    search_id: str
    label: str
    is_new: bool = False
    correct: bool | None = None


def run_cells(
    searches: Iterable[Cell | None],
    problems: Sequence[Problem],
    *,
    extractor: Callable[[Problem], Callable[[str], str | None]],
    grade: Grade,
    models: Mapping[str, Backend],
    journal: Journal,
    max_active: int = 64,
    answered: Mapping[str, Sequence[Entry]] = MappingProxyType({}),
) -> Iterator[Finished]:
    """Run those of some searches that the journal does not hold yet, and yield all as they end.

    Args:
      searches: of a plan, in its order; None says that there is none for now.
      problems: theirs.
      extractor: a problem to what finds the final answer in a solution's text (`Task.extractor`).
      grade: (problem, answer) to whether the answer is right, None if that cannot be told.
      models: the backends by name.
      journal: gets every answer, result and verdict, and the wall time of each strategy and budget.
      max_active: how many searches run at once.
      answered: what other journals hold of them; looked up as each begins.
    """
    by_id = {problem.id: problem for problem in problems}
    done = journal.finished_ids()
    driver = Driver(models, journal=journal, max_active=max_active)

    def begin(
        members: Iterable[tuple[Group, Cell | None]], waiting: dict[str, Cell], known: list[Cell]
    ) -> Iterator[Search | None]:
        for _, cell in members:
            if cell is None:
                yield None
            elif cell.search_id in done:
                known.append(cell)
            else:
                waiting[cell.search_id] = cell
                found = _search(cell, by_id[cell.problem_id], extractor)
                yield replace(found, answered=answered.get(cell.search_id, ()))

    for group, members in groupby(_with_groups(searches), key=itemgetter(0)):
        waiting: dict[str, Cell] = {}
        known: list[Cell] = []

        began = time.monotonic()
        try:
            for result in driver.run(begin(members, waiting, known)):
                problem = by_id[result.problem_id]
                correct = None if says_nothing(result) else grade(problem, result.answer)
                journal.add_verdict(result.search_id, correct)
                cell = waiting[result.search_id]
                yield Finished(cell.search_id, cell.label, is_new=True, correct=correct)
        finally:
            if waiting:
                journal.add_span(_span(group), time.monotonic() - began)
        yield from (Finished(cell.search_id, cell.label) for cell in known)


def read_rows(
    plan: BenchPlan,
    journal: Journal,
    *,
    grade: Grade,
    problems: Sequence[str] | None = None,
    has_right: HasRight | None = None,
    results: Iterable[SearchResult] | None = None,
) -> list[ResultRow]:
    """Return one row per finished search of a run, in the order of the plan.

    Args:
      plan: the plan that the run was made with.
      journal: the run's journal.
      grade: (problem, answer) to whether the answer is right, for results whose verdict is not in
        the journal.
      problems: their ids in order; None, where only the journal is there, takes them by name.
      has_right: (result, whether its answer is right) to whether one of its solutions is.
      results: all that the journal holds, where they are in memory; their trees are large.
    """
    ids = problems or list(dict.fromkeys(map(problem_of, journal.result_ids())))
    if not ids:
        return []
    every = cells(replace(plan, problems=len(ids)), ids)
    places = {cell.search_id: number for number, cell in enumerate(every)}
    verdicts = journal.verdicts()
    rows: dict[int, ResultRow] = {}
    for result in journal.results() if results is None else results:
        number = places.get(result.search_id)
        if number is not None:
            if result.search_id in verdicts:
                correct = verdicts[result.search_id]
            else:
                correct = grade(result.tree.problem, result.answer)
            covered = None if has_right is None else has_right(result, correct)
            rows[number] = make_row(
                result,
                every[number],
                correct=correct,
                oracle=plan.reward == "oracle",
                covered=covered,
            )
    return [rows[number] for number in sorted(rows)]


def grade_again(journal: Journal, grade: Grade, *, only_ungraded: bool = False) -> tuple[int, int]:
    """Note new verdicts on the answers of a run, by a grade that has changed since.

    Args:
      journal: the run's, to be written.
      grade: as of `run_cells`.
      only_ungraded: whether to keep verdicts that say something; searches that have one are not
        even read.
    Returns:
      How many answers were graded, and how many of the verdicts are others than before.
    """
    known = journal.verdicts()
    graded = changed = 0
    for search_id in journal.result_ids():
        before = known.get(search_id)
        if only_ungraded and before is not None:
            continue
        result = journal.result(search_id)  # its tree is large
        if result is None or says_nothing(result):
            continue
        correct = grade(result.tree.problem, result.answer)
        journal.add_verdict(result.search_id, correct)
        graded += 1
        changed += correct is not before
    return graded, changed


def wall_seconds(journal: Journal) -> dict[Group, float]:
    """Return (label, budget) -> seconds in which its searches ran, interrupted runs summed.

    Raises:
      JournalError: the journal is damaged.
    """
    found: dict[Group, float] = {}
    for name, seconds in journal.spans().items():
        label, _, budget = name.rpartition("/")
        try:
            found[label, int(budget) if budget else None] = seconds
        except ValueError:
            raise JournalError(
                f"the journal {journal.path} is damaged at the times of {name[:80]!r}; take it "
                "from a backup, or start again in another folder"
            ) from None
    return found


def _search(
    cell: Cell, problem: Problem, extractor: Callable[[Problem], Callable[[str], str | None]]
) -> Search:
    return Search(
        id=cell.search_id,
        strategy=cell.strategy.for_budget(cell.budget),
        problem=problem,
        extract=extractor(problem),
        budget=Budget(policy_tokens=cell.budget),
        seed=cell.seed,
    )


def _with_groups(searches: Iterable[Cell | None]) -> Iterator[tuple[Group, Cell | None]]:
    """Yield each search with the strategy and budget that it is timed under."""
    group: Group = ("", None)
    for cell in searches:
        if cell is not None:
            group = (cell.strategy.label, cell.budget)
        yield group, cell


def _span(group: Group) -> str:
    label, budget = group
    return f"{label}/{'' if budget is None else budget}"
