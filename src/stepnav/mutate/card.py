"""The data card: what a data set holds, what was left out and why, in Markdown.

It holds no times, so that the same campaign gives the same card.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stepnav.mutate.balance import LAST_INDEX
from stepnav.mutate.findings import ProblemReport
from stepnav.mutate.labels import DROPS, LABELS, MIN_FUZZ_INPUTS
from stepnav.mutate.records import MutationRecord

_VERDICTS = {
    "reference": "the reference itself; all steps +1",
    "decoy": "rewritten without a change of meaning; all steps +1",
    "equivalent": "compiles to the reference's bytecode; all steps +1",
    "survived": f"passes the tests and {MIN_FUZZ_INPUTS} or more further inputs; changed step 0",
    "repairable": "fails the tests, but one later single edit makes it right; changed step 0",
    "killed": "fails the tests twice, in different order; changed step -1",
    "timeout": "runs out of ten times its limit of CPU time; changed step -1",
}


def write_card(
    campaign: Mapping[str, Any],
    reports: Sequence[ProblemReport],
    records: Sequence[MutationRecord],
) -> str:
    """Return the card's text.

    Args:
      campaign: the journal's first line.
      reports: of all problems, in order.
      records: all records, weights included.
    """
    parts = [
        _head(campaign, reports, records),
        "## Records per split",
        _table(["split", "problems", "records", "+1", "0", "-1", "masked"], _splits(records)),
        "## Records per verdict",
        _table(
            ["verdict", "records", "what it means"],
            [
                [name, str(count), _VERDICTS[name]]
                for name, count in _ordered(Counter(r.verdict for r in records), list(LABELS))
            ],
        ),
        "## Operators by verdict",
        _operators(records, reports),
        "## Labels per step index",
        _table(["step", "+1", "0", "-1", "masked"], _indices(records)),
        "## Left out",
        _left_out(reports),
        _unusable(reports),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(
    campaign: Mapping[str, Any], reports: Sequence[ProblemReport], records: Sequence[MutationRecord]
) -> str:
    used = sum(report.error is None for report in reports)
    judged = sum(report.num_judged for report in reports)
    levels = ", ".join(sorted({o.level for o in reports if o.level})) or "none"
    settings = ", ".join(
        f"{key} {_plain(campaign[key])}"
        for key in ("seed", "decoys", "second_order", "repairs", "held_out", "python")
    )
    return (
        f"# Mutation data: {campaign['task']}\n\n"
        f"{len(records)} programs cut into steps with labels, made of {used} of {len(reports)} "
        f"reference programs by mutation and judged by {judged} runs in the sandbox "
        f"(level {levels}).\n\n"
        f"Settings: {settings}.\n\n"
        f"Source: {campaign['source']}\n\n"
        "Fields: `prompt`, `completions`, `labels` (-1, 0, 1; null is masked: unknown), "
        "`wrong_from`, `weights`, `task_id`, `operator`, `spans`, `replacements`, `step`, "
        "`verdict`, `split`, `seed`, `level`. Lines of the programs end in one newline character; "
        "all else stands as in the source."
    )


def _splits(records: Sequence[MutationRecord]) -> list[list[str]]:
    rows = []
    for split in dict.fromkeys(record.split for record in records):
        chosen = [record for record in records if record.split == split]
        problems = len({record.task_id for record in chosen})
        counts = Counter(label for record in chosen for label in record.labels)
        rows.append([split, str(problems), str(len(chosen)), *_label_counts(counts)])
    return rows


def _operators(records: Sequence[MutationRecord], reports: Sequence[ProblemReport]) -> str:
    counts = Counter((record.operator, record.verdict) for record in records)
    dropped = _dropped(reports)
    names = sorted({operator for operator, _ in counts} | {operator for operator, _ in dropped})
    rows = [
        [
            name,
            *(str(counts[name, verdict]) for verdict in LABELS),
            str(sum(count for (operator, _), count in dropped.items() if operator == name)),
        ]
        for name in names
    ]
    return _table(["operator", *LABELS, "left out"], rows)


def _indices(records: Sequence[MutationRecord]) -> list[list[str]]:
    counts: dict[int, Counter[int | None]] = {}
    for record in records:
        for index, label in enumerate(record.labels):
            counts.setdefault(min(index, LAST_INDEX), Counter())[label] += 1
    return [
        [str(index) + ("+" if index == LAST_INDEX else ""), *_label_counts(counts[index])]
        for index in sorted(counts)
    ]


def _left_out(reports: Sequence[ProblemReport]) -> str:
    reasons: Counter[str] = Counter()
    for (_, reason), count in _dropped(reports).items():
        reasons[reason] += count
    rows = [[name, str(count), DROPS[name]] for name, count in _ordered(reasons, list(DROPS))]
    return _table(["reason", "programs", "what it means"], rows) if rows else "Nothing."


def _unusable(reports: Sequence[ProblemReport]) -> str:
    failed = [report for report in reports if report.error is not None]
    lines = [f"- {report.task_id}: {report.error}" for report in failed]
    return "\n".join(["## Problems not used", "", *lines]) if lines else ""


def _dropped(reports: Sequence[ProblemReport]) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for report in reports:
        for key, count in (report.dropped or {}).items():
            operator, _, reason = key.partition("/")
            counts[operator, reason] += count
    return counts


def _ordered(counts: Counter[Any], order: list[Any]) -> list[tuple[Any, int]]:
    return [(name, counts[name]) for name in order if counts[name]]


def _label_counts(counts: Counter[int | None]) -> list[str]:
    return [str(counts[label]) for label in (1, 0, -1, None)]


def _plain(value: Any) -> str:
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
