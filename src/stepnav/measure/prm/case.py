"""The records of an evaluation: solutions whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stepnav.core.records import Problem, Step, Trajectory
from stepnav.labels.records import LabelKind

FileKind = Literal["processbench", "prmbench", "prm800k", "best-of-n"]
KINDS: tuple[FileKind, ...] = ("processbench", "prmbench", "prm800k", "best-of-n")


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """What is known of a whole solution.

    Attributes:
      is_correct: whether its answer is right; None if that could not be decided.
      answer: its answer, for votes; None if it has none, or none is given.
      scores: per step P(not wrong), where the file gives them.
    """

    is_correct: bool | None
    answer: str | None
    scores: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Case:
    """One solution to score.

    Attributes:
      id: what the file calls it, or where it stands.
      group: what resampling draws together: the problem.
      question: the problem's text; empty if the file does not give it.
      steps: texts, without separators.
      is_whole: whether the last step ends the solution.
      first_error: processbench: 0-based first wrong step, None for none.
      labels: prm800k: per step, None where it is not labelled; prmbench: per step, -1 or 1.
      category: prmbench: what was done to the solution.
      is_unanswered: best-of-n: whether the file says that it has no answer.
      graded: best-of-n.
    """

    id: str
    group: str
    question: str
    steps: tuple[str, ...]
    is_whole: bool
    first_error: int | None = None
    labels: tuple[int | float | None, ...] | None = None
    graded: GradedAnswer | None = None
    category: str | None = None
    is_unanswered: bool = False

    @property
    def trajectory(self) -> Trajectory:
        """The solution as a reward model sees it: a line end after each step but the last."""
        *before, last = self.steps
        steps = [Step(text if text.endswith("\n") else text + "\n") for text in before]
        steps.append(Step(last, "end" if self.is_whole else "step"))
        return Trajectory(Problem(self.id, self.question), tuple(steps))


@dataclass(frozen=True, slots=True)
class Cases:
    """A file's solutions.

    Attributes:
      kind: which of `KINDS`.
      items: the solutions, in the order of the file.
      label_kind: what the labels of step-labelled data are.
      digest: changes with whatever is scored or compared with.
      left_out: what the reader left out and why, one line each.
    """

    kind: FileKind
    items: tuple[Case, ...]
    label_kind: LabelKind | None
    digest: str
    left_out: tuple[str, ...] = ()

    @property
    def num_problems(self) -> int:
        """How many problems the solutions are of."""
        return len({case.group for case in self.items})
