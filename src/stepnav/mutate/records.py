"""The records of the data: one program cut into steps with their labels, and where it came from.

The first three fields are TRL's stepwise format, which the trainer reads as it is; the labels are
-1, 0, 1, or null where a step is masked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from stepnav.core.records import trimmed
from stepnav.mutate.findings import Finding, ProblemReport
from stepnav.mutate.labels import MutantVerdict, label_steps
from stepnav.mutate.program.edit import Edit, apply_edits
from stepnav.mutate.program.source import parse
from stepnav.mutate.program.steps import Split, split_steps
from stepnav.tasks.arithmetic.problems import num_common


@dataclass(frozen=True, slots=True)
class MutationRecord:
    """One program.

    Attributes:
      prompt: the task in words and the program up to the first step.
      completions: the steps' texts; with the program's part of the prompt they are the program.
      labels: -1, 0 or 1 per step; None masks a step.
      wrong_from: per step, where its label is -1 or 0: the offset of the first changed character in
        the step as `trimmed` leaves it; else None.
      weights: per step, how much its label counts (`balance`); None where it is masked.
      task_id: the problem.
      operator: mutation operator or rewrite; "none" for the reference itself.
      spans: the changed spans of the reference, in characters from the beginning of the program.
      replacements: what took their places.
      step: index of the changed step that the verdict is about; None for the reference.
      verdict: what the program was found to be.
      split: "train", "validation", "held_out" or "set_aside".
      seed: the campaign's seed.
      level: the sandbox level that the verdict was made at.
    """

    prompt: str
    completions: tuple[str, ...]
    labels: tuple[int | None, ...]
    wrong_from: tuple[int | None, ...]
    weights: tuple[float | None, ...]
    task_id: str
    operator: str
    spans: tuple[tuple[int, int], ...]
    replacements: tuple[str, ...]
    step: int | None
    verdict: MutantVerdict
    split: str
    seed: int
    level: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def make_records(
    report: ProblemReport, *, seed: int, held_out: frozenset[str]
) -> list[MutationRecord]:
    """Return the records of one problem, without weights.

    Args:
      report: what was found.
      seed: the campaign's.
      held_out: operators that are kept out of training: their mutants are the split "held_out"
        where the problem is one of validation, and "set_aside" elsewhere.
    """
    if not report.findings:
        return []
    split = split_steps(parse(report.source))
    return [
        _make_record(report, split, finding, seed, _split_name(report, finding, held_out))
        for finding in report.findings
    ]


def with_weights(record: MutationRecord, weights: tuple[float | None, ...]) -> MutationRecord:
    """Return the record with its steps' weights."""
    return replace(record, weights=weights)


def edit_steps(split: Split, edits: tuple[Edit, ...]) -> tuple[str, ...]:
    """Return the steps of a program after edits; each edit stays within its step."""
    steps = []
    for index, step in enumerate(split.steps):
        start = split.start(index)
        inner = [
            Edit(edit.start - start, edit.end - start, edit.text)
            for edit in edits
            if split.step_at(edit.start) == index
        ]
        steps.append(apply_edits(step, inner))
    return tuple(steps)


def _make_record(
    report: ProblemReport, split: Split, finding: Finding, seed: int, split_name: str
) -> MutationRecord:
    steps = edit_steps(split, finding.edits)
    labels = label_steps(
        len(steps), finding.step, finding.verdict, neutral_step=finding.neutral_step
    )
    return MutationRecord(
        prompt=report.preamble + split.prompt,
        completions=steps,
        labels=labels,
        wrong_from=_wrong_from(split, steps, labels, finding.edits),
        weights=tuple(None for _ in steps),
        task_id=report.task_id,
        operator=finding.operator,
        spans=tuple((edit.start, edit.end) for edit in finding.edits),
        replacements=tuple(edit.text for edit in finding.edits),
        step=finding.step if finding.edits else None,
        verdict=finding.verdict,
        split=split_name,
        seed=seed,
        level=report.level,
    )


def _wrong_from(
    split: Split,
    steps: tuple[str, ...],
    labels: tuple[int | None, ...],
    edits: tuple[Edit, ...],
) -> tuple[int | None, ...]:
    """Return where the change begins in each step that is not right."""
    found: list[int | None] = [None] * len(steps)
    for edit in edits:
        index = split.step_at(edit.start)
        if index is not None and labels[index] in (-1, 0):
            blank_lines = steps[index].find(trimmed(steps[index]))
            offset = edit.start - split.start(index) + _common(split, edit, index)
            found[index] = max(0, offset - blank_lines)
    return tuple(found)


def _common(split: Split, edit: Edit, index: int) -> int:
    """Return how many characters the old and the new text have in common at their beginning."""
    start = edit.start - split.start(index)
    return num_common(split.steps[index][start : start + edit.end - edit.start], edit.text)


def _split_name(report: ProblemReport, finding: Finding, held_out: frozenset[str]) -> str:
    if finding.operator not in held_out:
        return report.split
    return "held_out" if report.split == "validation" else "set_aside"
