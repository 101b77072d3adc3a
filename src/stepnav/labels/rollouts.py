"""Step labels without people: how often a policy still reaches the right answer from a prefix.

A problem's solutions are labelled together, so that what one of them shows counts for all. Method
"each" labels every step (Math-Shepherd: Wang et al. 2024, arXiv 2312.08935, section 3.2);
"bisection" looks for the first wrong step by binary search (OmegaPRM: Luo et al. 2024, section 3.2;
theirs also grows a tree of rollouts). The program is one for the driver, so that batching, the
journal, resuming and the account of cost are those of searches.

Differs in: Math-Shepherd's hard estimation asks each prefix by itself, which lets a step be wrong
before one that is right, and within a right solution. Here a prefix is right (+1) if any right
solution that begins with it was seen: the solution itself, another one of the problem, or a
completion of this or of a longer prefix. So prefixes are completed from the last to the first,
until one is right: that gives the labels that all completions would, and costs less. Soft
estimation is theirs: each prefix's own share. Before a wrong solution is labelled, the problem must
have been solved once (another solution, or a completion of the empty prefix); where the policy
never does, "cannot be reached any more" says nothing of a step. What could not be graded counts as
neither right nor wrong. Equal solutions of a problem make one record, and equal prefixes are
completed once.

"outcome" completes nothing: the solutions drawn are themselves the completions of the prefixes that
they begin with, one or a few of each, so that their share of right ones is an unbiased and noisy
value (Cobbe et al. 2021, section 4.2, who give every token its solution's outcome). It costs a
tenth of the tokens, and is what a policy that seldom succeeds can be labelled by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stepnav.core.outcome import Outcome, SearchResult
from stepnav.core.records import Trajectory
from stepnav.core.requests import Complete, Program, Sampling, complete
from stepnav.core.tree import Node, Tree
from stepnav.labels.records import StepRecord

Method = Literal["each", "bisection"]
Labels = Literal["hard", "soft", "outcome"]

METHODS: tuple[Method, ...] = ("each", "bisection")
LABELS: tuple[Labels, ...] = ("hard", "soft", "outcome")

IsRight = Callable[[Trajectory], bool | None]
"""Whether a solution is finished and its answer right; None if that cannot be told."""

Prefix = tuple[str, ...]
"""The texts by which the steps of a prefix are compared (`Step.key`)."""


@dataclass(slots=True)
class Evidence:
    """What completions of one problem have shown.

    Attributes:
      is_right: judges a solution.
      reached: prefixes of the right solutions that were seen, the empty one included.
      hits: completed prefix -> share of its graded completions that were right; None if none could
        be graded.
      ungraded: how many solutions and completions could not be graded.
    """

    is_right: IsRight
    reached: set[Prefix] = field(default_factory=set)
    hits: dict[Prefix, float | None] = field(default_factory=dict)
    ungraded: int = 0

    def judge(self, solution: Trajectory) -> bool | None:
        """Return whether a solution is right; if it is, all its prefixes are reached."""
        verdict = self.is_right(solution)
        if verdict:
            texts = _texts(solution)
            self.reached.update(texts[:length] for length in range(len(texts) + 1))
        self.ungraded += verdict is None
        return verdict

    def add(self, prefix: Trajectory, drawn: Sequence[Trajectory]) -> None:
        """Note the completions of a prefix."""
        self.hits[_texts(prefix)] = _share([self.judge(solution) for solution in drawn])

    def num_right(self, texts: Prefix, asked: int) -> int:
        """Return how many of the first so many steps of a path are right."""
        return sum(texts[:length] in self.reached for length in range(1, asked + 1))


def label_problem(
    tree: Tree,
    *,
    is_right: IsRight,
    solutions: int,
    samples: int,
    temperature: float,
    method: Method = "each",
    labels: Labels = "hard",
    keep_unsolved: bool = False,
    max_tokens: int | None = None,
    paths: Sequence[Trajectory] | None = None,
) -> Program:
    """Draw solutions of a problem and label their steps: the values of the tree's nodes.

    Args:
      tree: holds the problem; gets the finished solutions.
      is_right: judges a solution.
      solutions: how many are drawn.
      samples: completions per prefix.
      temperature: of solutions and completions.
      method: "each" step, or "bisection" for the first wrong one.
      labels: "hard": 1 or -1; "soft": the share of a step's completions that are right; "outcome":
        the share of the solutions through it that are, cut ones counting as wrong. The last step
        is judged by the answer itself.
      keep_unsolved: whether to label the solutions of a problem that was never solved.
      max_tokens: of a solution or completion; None takes the policy's own limit.
      paths: from the root of search trees, finished or not, that are labelled instead of solutions
        drawn here.
    """
    root, sampling = Trajectory(tree.problem), Sampling(temperature, max_tokens=max_tokens)
    if paths is None:
        drawn = yield from complete(root, solutions, sampling=sampling)
        kept = [solution for solution in drawn if solution.is_finished]
    else:
        drawn = tuple(paths)
        kept = list(drawn)
    distinct = _distinct(kept)
    evidence = Evidence(is_right)
    verdicts = [evidence.judge(solution) for solution in distinct]
    leaves = [tree.add_trajectory(solution) for solution in distinct]
    if labels == "outcome":
        # a path that a search left tells nothing; a drawn solution that was cut would have gone on
        ended = drawn if paths is None else [path for path in drawn if path.is_finished]
        _write_outcomes(tree, ended, evidence)
    elif leaves and not evidence.reached:
        evidence.add(root, (yield from complete(root, samples, sampling=sampling)))
    if labels != "outcome" and (evidence.reached or keep_unsolved):
        while wanted := _wanted(distinct, evidence, method, labels):
            answers = yield [Complete(prefix, samples, sampling) for prefix in wanted]
            for prefix, completions in zip(wanted, answers, strict=True):
                evidence.add(prefix, completions)
        for leaf, verdict in zip(leaves, verdicts, strict=True):
            _write_labels(tree, tree.path(leaf), verdict, evidence, method, labels)
    counts = {
        "drawn": len(drawn),
        "cut": len(drawn) - len(kept),
        "duplicates": len(kept) - len(distinct),
        "right": sum(verdict is True for verdict in verdicts),
        "solved": int(bool(evidence.reached)),
        "ungraded": evidence.ungraded,
    }
    finished = next((path for path in distinct if path.is_finished), None)
    return Outcome(finished, "finished" if distinct else "length", counts=counts)


def rollout_records(result: SearchResult, *, labels: Labels) -> list[StepRecord]:
    """Return the labelled solutions of a problem; none if it was left out or failed.

    Args:
      result: of `label_problem`.
      labels: as it was called with.
    """
    tree = result.tree
    paths = [tree.path(node) for node in tree.nodes if node.depth and not node.children]
    return [
        StepRecord(
            tree.problem.question,
            tuple(node.step.text for node in path),
            tuple(_label(node, labels) for node in path),
            origin=f"{result.search_id}/{number}",
            is_finished=path[-1].trajectory.is_finished,
        )
        for number, path in enumerate(paths)
        if any(node.value is not None for node in path)
    ]


def _label(node: Node, labels: Labels) -> int | float | None:
    """Return a step's label; none for a blank step, of which nothing could be learnt."""
    if node.value is None or not node.step.text.strip():
        return None
    return int(node.value) if labels == "hard" else node.value


def _wanted(
    solutions: Iterable[Trajectory], evidence: Evidence, method: Method, labels: Labels
) -> list[Trajectory]:
    """Return the prefixes to complete next, each once; none when all that is asked is known."""
    return _distinct(
        Trajectory(solution.problem, solution.steps[:length])
        for solution in solutions
        for length in _next_lengths(solution, evidence, method, labels)
    )


def _num_asked(path: Trajectory) -> int:
    """Return how many of its steps completions judge: all but an answer."""
    return len(path.steps) - path.is_finished


def _next_lengths(
    path: Trajectory, evidence: Evidence, method: Method, labels: Labels
) -> Sequence[int]:
    """Return the lengths of a path's prefixes to complete next."""
    texts, asked = _texts(path), _num_asked(path)
    if labels == "soft":
        return [n for n in range(1, asked + 1) if texts[:n] not in evidence.hits]
    right = evidence.num_right(texts, asked)
    tried = [n for n in range(right + 1, asked + 1) if texts[:n] in evidence.hits]
    # no right solution was seen from the shortest of these, so from none that is longer
    wrong = min(tried, default=asked + 1)
    if method == "bisection":
        return [(right + wrong) // 2] if wrong - right > 1 else []
    open_lengths = [n for n in range(right + 1, asked + 1) if n not in tried]
    return open_lengths[-1:]


def _write_labels(
    tree: Tree,
    path: Sequence[Node],
    verdict: bool | None,
    evidence: Evidence,
    method: Method,
    labels: Labels,
) -> None:
    """Set the values of a path's nodes; nodes that paths share get the same from each.

    A step of which all that was seen could not be graded has none.
    """
    texts, asked = tuple(node.step.key for node in path), _num_asked(path[-1].trajectory)
    right = len(texts) if verdict else evidence.num_right(texts, asked)
    for number, node in enumerate(path):
        share = evidence.hits.get(texts[: number + 1]) if number < asked else verdict
        if labels == "hard" and number < right:
            tree.set_value(node, 1.0)
        elif share is not None and labels == "soft":
            tree.set_value(node, float(share))
        elif share is not None and (number == right or method == "each"):
            tree.set_value(node, -1.0)


def _write_outcomes(tree: Tree, drawn: Iterable[Trajectory], evidence: Evidence) -> None:
    """Set the values of all nodes that solutions go through; a cut one is wrong, up to its cut."""
    verdicts: dict[Prefix, list[bool | None]] = {}
    for path in drawn:
        texts, verdict = _texts(path), evidence.is_right(path)
        for length in range(1, len(texts) + path.is_finished):
            verdicts.setdefault(texts[:length], []).append(verdict)
    for node in tree.nodes:
        share = _share(verdicts.get(_texts(node.trajectory), ()))
        if share is not None:
            tree.set_value(node, share)


def _share(verdicts: Sequence[bool | None]) -> float | None:
    """Return the share of right ones among what could be graded; None if nothing could."""
    graded = [verdict for verdict in verdicts if verdict is not None]
    return sum(graded) / len(graded) if graded else None


def _distinct(trajectories: Iterable[Trajectory]) -> list[Trajectory]:
    """Return the solutions without repeats; of those with the same steps the first stays."""
    found: dict[Prefix, Trajectory] = {}
    for trajectory in trajectories:
        found.setdefault(_texts(trajectory), trajectory)
    return list(found.values())


def _texts(trajectory: Trajectory) -> Prefix:
    return tuple(step.key for step in trajectory.steps)
