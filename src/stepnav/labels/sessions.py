"""What one row of a label file says, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stepnav.files.rows import MalformedRow
from stepnav.labels.records import LabelKind, StepRecord


@dataclass(frozen=True, slots=True)
class Session:
    """One labelled solution, with all its alternatives if the format has them.

    Attributes:
      place: where it stands, for messages.
      problem: the problem's text.
      records: what is to be learnt from it.
      num_steps: steps of the solution.
      is_solution: whether they end in an answer; True where the format has whole solutions only.
      marks: reasons for which it may be left out.
      kind: what its labels are, if the row says so itself.
      names: what else the problem is called.
      split: the part of a data set that it is of, if the row says so.
      counts: further counts of this format; those of all sessions are added up.
    """

    place: str
    problem: str
    records: tuple[StepRecord, ...]
    num_steps: int
    is_solution: bool = True
    marks: frozenset[str] = frozenset()
    kind: LabelKind | None = None
    names: tuple[str, ...] = ()
    split: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def num_labels(self) -> int:
        """How many steps have a label."""
        return sum(label is not None for record in self.records for label in record.labels)


def check_texts(session: Session) -> None:
    """Check that the problem and all labelled steps have a text.

    Raises:
      MalformedRow: one is blank.
    """
    if not session.problem.strip():
        raise MalformedRow("its problem is blank")
    for record in session.records:
        for number, (step, label) in enumerate(zip(record.completions, record.labels), 1):
            if label is not None and not step.strip():
                raise MalformedRow(f"step {number} has a label and is blank")
