"""What a campaign found out about one problem, as it stands in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepnav.mutate.labels import MutantVerdict
from stepnav.mutate.program.edit import Edit


@dataclass(frozen=True, slots=True)
class Finding:
    """A program that becomes a record.

    Attributes:
      operator: mutation operator or rewrite; "none" for the reference.
      verdict: what it was found to be.
      edits: its changes, in source order; empty for the reference.
      step: index of the changed step that the verdict is about.
      neutral_step: second-order mutants: the step of the first edit if its label is 0.
    """

    operator: str
    verdict: MutantVerdict
    edits: tuple[Edit, ...]
    step: int
    neutral_step: int | None = None

    def to_json(self) -> list[Any]:
        """Return the fields as one JSON list."""
        edits = [[edit.start, edit.end, edit.text] for edit in self.edits]
        return [self.operator, self.verdict, edits, self.step, self.neutral_step]

    @classmethod
    def from_json(cls, fields: list[Any]) -> Finding:
        """Read what `to_json` wrote."""
        operator, verdict, edits, step, neutral_step = fields
        made = tuple(Edit(start, end, text) for start, end, text in edits)
        return cls(operator, verdict, made, step, neutral_step)


@dataclass(frozen=True, slots=True)
class ProblemReport:
    """All that was found about one problem.

    Attributes:
      number: position of the problem in the whole campaign.
      task_id, split, preamble, source: as in `Reference`.
      findings: the programs that become records.
      dropped: "operator/reason" -> how many programs were left out.
      num_judged: programs run, repairs and repetitions included.
      level: sandbox level; empty where nothing was run.
      error: why the problem could not be used, one line; None if it could.
    """

    number: int
    task_id: str
    split: str
    preamble: str
    source: str
    findings: tuple[Finding, ...] = ()
    dropped: Mapping[str, int] | None = None
    num_judged: int = 0
    level: str = ""
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**fields, "findings": [finding.to_json() for finding in self.findings]}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ProblemReport:
        """Read what `to_json` wrote."""
        findings = tuple(Finding.from_json(finding) for finding in fields["findings"])
        return cls(**{**fields, "findings": findings})
