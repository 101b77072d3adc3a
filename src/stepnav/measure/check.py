"""Do a policy, a task's prompt and answers, and a reward model fit each other?

Each problem is asked three ways: the first step by itself and a whole solution, both greedily, and
several solutions at the task's temperature; the reward model then rates the solutions. What is made
of that are findings: pure functions of what was seen. Absent: any promise. Thirty problems tell
what does not work, not which of two good reward models is better.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stepnav.core.outcome import Outcome
from stepnav.core.records import Problem, Step, StepScore, Trajectory
from stepnav.core.requests import GREEDY, Complete, Program, Propose, Sampling
from stepnav.core.tree import Tree
from stepnav.measure.stats.intervals import MIN_UNITS
from stepnav.tasks.task import Task

if TYPE_CHECKING:
    from stepnav.measure.prm.best_of_n import Scored

MOST_CUT = 0.5
"""Share of first steps, or of solutions, that may be cut at a token limit."""

LEAST_ANSWERED = 0.5
"""Share of finished solutions in which an answer must be found."""

LEAST_SAME = 0.5
"""Share of problems whose first step must be the same by itself as in a whole solution."""

AGGREGATION = "prod"
"""How step scores become the score of a solution: the probability that all are right."""


@dataclass(slots=True)
class Seen:
    """What was seen of one problem.

    Attributes:
      problem: it.
      opening: its first step, proposed by itself.
      whole: a whole solution, drawn as greedily.
      solutions: drawn at the task's temperature.
      is_right: of each, whether its answer is; None where that cannot be told.
      scores: of each, the reward model's; None where it was not asked.
      errors: why the reward model could not score.
    """

    problem: Problem
    opening: Step | None = None
    whole: Trajectory | None = None
    solutions: tuple[Trajectory, ...] = ()
    is_right: list[bool | None] = field(default_factory=list)
    scores: list[tuple[StepScore, ...] | None] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the page.

    Attributes:
      about: what it is about, in one word.
      text: what was found.
      fits: False where it speaks against a run; None where it is only told.
    """

    about: str
    text: str
    fits: bool | None = None


def drawing(tree: Tree, *, seen: Seen, samples: int, temperature: float) -> Program:
    """Ask a policy for what is looked at of one problem; a program for the driver."""
    root = Trajectory(tree.problem)
    sampling = Sampling(temperature)
    (opening,), (whole,), drawn = yield (
        Propose(root, 1, GREEDY),
        Complete(root, 1, GREEDY),
        Complete(root, samples, sampling),
    )
    seen.opening, seen.whole, seen.solutions = opening, whole, tuple(drawn)
    return Outcome(whole, "finished")


def policy_findings(seen: Sequence[Seen], task: Task) -> Iterator[Finding]:
    """Yield what the drawn solutions say of step boundary, prompt and answers."""
    openings = [item.opening for item in seen if item.opening is not None]
    solutions = [solution for item in seen for solution in item.solutions]
    cut = sum(step.is_cut for step in openings)
    lengths = [len(solution.steps) for solution in solutions]
    tokens = [step.num_tokens for solution in solutions for step in solution.steps]
    if cut > MOST_CUT * len(openings):
        yield Finding(
            "steps",
            f"the policy does not end its steps: {cut} of {len(openings)} first steps were cut at "
            "the token limit; the step boundary does not come, so no search can go step by step "
            f"(first words: {_shown(openings[0].text)})",
            fits=False,
        )
    elif statistics.median(lengths) < 2:
        yield Finding(
            "steps",
            f"solutions are one step of {_mean(tokens):.0f} tokens: there is nothing to search; "
            "ask for steps in the prompt, or name a boundary that the policy writes",
            fits=False,
        )
    else:
        yield Finding(
            "steps",
            f"{_mean(lengths):.1f} steps a solution, {_mean(tokens):.1f} tokens a step; {cut} of "
            f"{len(openings)} first steps cut at the token limit",
            fits=True,
        )
    yield from _same(seen)
    yield _ends(solutions)
    yield from _answers(seen, task)


def _same(seen: Sequence[Seen]) -> Iterator[Finding]:
    """Yield whether a step by itself is what it is within a solution."""
    pairs = [
        (item.opening.key, item.whole.steps[0].key)
        for item in seen
        if item.opening is not None and item.whole is not None and item.whole.steps
    ]
    same = sum(alone == within for alone, within in pairs)
    if pairs:
        text = f"{same} of {len(pairs)} first steps are the same by themselves as in a solution"
        fits = same >= LEAST_SAME * len(pairs)
        more = "" if fits else "; step by step the policy is asked something else than in one go"
        yield Finding("prompt", text + more, fits=fits)


def _ends(solutions: Sequence[Trajectory]) -> Finding:
    cut = sum(not solution.is_finished for solution in solutions)
    fits = cut <= MOST_CUT * len(solutions)
    return Finding(
        "ends",
        f"{cut} of {len(solutions)} solutions were cut at a token limit"
        + ("" if fits else "; the policy does not see the end, or its limit is too short"),
        fits=fits,
    )


def _answers(seen: Sequence[Seen], task: Task) -> Iterator[Finding]:
    finished = [s for item in seen for s in item.solutions if s.is_finished]
    verdicts = [right for item in seen for right in item.is_right]
    answered = sum(task.extract(solution.text) is not None for solution in finished)
    if not finished:
        return
    if answered < LEAST_ANSWERED * len(finished):
        yield Finding(
            "answers",
            f"an answer is found in {answered} of {len(finished)} finished solutions: the prompt "
            f"does not fit {task.name} (the last ends {_shown(finished[-1].text[-60:])})",
            fits=False,
        )
        return
    right, known = verdicts.count(True), sum(verdict is not None for verdict in verdicts)
    yield Finding(
        "answers",
        f"found in {answered} of {len(finished)} finished solutions; {right} of {known} are right",
        fits=True,
    )


def reward_findings(seen: Sequence[Seen]) -> Iterator[Finding]:
    """Yield what the scores say of the reward model, and what choosing by them may bring."""
    from stepnav.measure.prm.best_of_n import by_problem
    from stepnav.measure.prm.case import Case, GradedAnswer

    errors = [error for item in seen for error in item.errors]
    if errors:
        asked = sum(len(item.solutions) for item in seen)
        yield Finding(
            "reward", f"{len(errors)} of {asked} solutions were not scored: {errors[0]}", fits=False
        )
    scored = []
    for item in seen:
        for solution, right, scores in zip(item.solutions, item.is_right, item.scores):
            if scores and right is not None:
                graded = GradedAnswer(right, None, None)
                texts = tuple(step.text for step in solution.steps)
                case = Case("", item.problem.id, "", texts, solution.is_finished, graded=graded)
                scored.append((case, scores))
    problems = by_problem(scored)
    yield _better_than_chance(scored, problems)
    yield from _gain(problems)


def _better_than_chance(scored: Scored, problems: Sequence[Scored]) -> Finding:
    from stepnav.measure.prm.best_of_n import within_auroc

    kinds = [{case.graded.is_correct for case, _ in own if case.graded} for own in problems]
    mixed = sum(len(kind) == 2 for kind in kinds)
    if mixed < MIN_UNITS:
        return Finding(
            "reward",
            f"whether its scores are better than chance cannot be told: of {len(scored)} scored "
            f"solutions there are both right and wrong ones of {mixed} problems, fewer than "
            f"{MIN_UNITS}; take --task or --problems that the policy solves now and then",
        )
    auroc = within_auroc(scored, AGGREGATION)
    low, high = auroc["ci95"] or (auroc["value"],) * 2  # where no resample differs
    text = (
        f"AUROC {auroc['value']:.2f} ({low:.2f} to {high:.2f}) within {mixed} problems with right "
        "and wrong solutions"
    )
    if low > 0.5:
        return Finding("reward", f"better than chance: {text}", fits=True)
    return Finding("reward", f"not better than chance: {text}", fits=False)


def _gain(problems: Sequence[Scored]) -> Iterator[Finding]:
    """Yield what the best of the samples by this reward model would bring over one sample.

    Over the same problems, those with all samples: hard ones may lose some.
    """
    from stepnav.measure.prm.best_of_n import row

    size = max(map(len, problems), default=0)
    if size < 2:
        return
    whole = [own for own in problems if len(own) == size]
    first, last = row(1, whole), row(size, whole)
    best, interval = last[AGGREGATION], last[AGGREGATION]["ci95"]
    one, chosen, most = (100 * share["value"] for share in (first["pass"], best, last["pass"]))
    left = len(problems) - len(whole)
    without = f" (without {left} problems of which fewer samples were scored)" if left else ""
    within = f" ({100 * interval[0]:.0f} to {100 * interval[1]:.0f})" if interval else ""
    yield Finding(
        "gain",
        f"one sample is right in {one:.0f}%, the best of {size} by the reward model in "
        f"{chosen:.0f}%{within}, any of {size} in {most:.0f}%{without}: about {chosen - one:+.0f} "
        "points, and more for a search only as far as the last figure allows",
    )


def shape(seen: Sequence[Seen]) -> tuple[int, int]:
    """Return the steps of a solution and the tokens of a step, as they were drawn."""
    solutions = [s for item in seen for s in item.solutions if s.steps]
    if not solutions:
        return 1, 1
    steps = sum(len(solution.steps) for solution in solutions)
    tokens = sum(step.num_tokens for solution in solutions for step in solution.steps)
    return max(1, round(steps / len(solutions))), max(1, round(tokens / steps))


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else 0.0


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
