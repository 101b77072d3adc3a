from __future__ import annotations

from collections import defaultdict

import pytest

from stepnav.mutate.balance import MAX_WEIGHT, weigh
from stepnav.mutate.findings import Finding, ProblemReport
from stepnav.mutate.program.edit import Edit
from stepnav.mutate.records import MutationRecord, make_records

SOURCE = "def f(x):\n    a = x + 1\n    b = a * 2\n    return b\n"


def edit(old: str, new: str) -> Edit:
    start = SOURCE.index(old)
    return Edit(start, start + len(old), new)


def report(split: str = "train") -> ProblemReport:
    findings = [
        Finding("none", "reference", (), 2),
        Finding("arithmetic", "killed", (edit("+", "-"),), 0),
        Finding("arithmetic", "killed", (edit("*", "+"),), 1),
        Finding("off_by_one", "killed", (edit("2", "3"),), 1),
        Finding("slice", "killed", (edit("return b", "return a"),), 2),
        Finding("constant", "survived", (edit("1", "2"),), 0),
    ]
    return ProblemReport(0, "t", split, "Do it.\n", SOURCE, tuple(findings), {}, 10, "process")


def records(split: str = "train", held_out: tuple[str, ...] = ()) -> list[MutationRecord]:
    return make_records(report(split), seed=0, held_out=frozenset(held_out))


def test_records() -> None:
    reference, first, *_, neutral = records()
    assert reference.prompt == "Do it.\ndef f(x):\n"
    assert reference.labels == (1, 1, 1)
    assert first.completions == ("    a = x - 1\n", "    b = a * 2\n", "    return b\n")
    assert first.labels == (-1, None, None)
    assert first.wrong_from == (len("    a = x "), None, None)
    assert first.spans == ((SOURCE.index("+"), SOURCE.index("+") + 1),)
    assert neutral.labels == (0, None, None)


def test_the_change_begins_where_the_texts_differ() -> None:
    record = next(record for record in records() if record.operator == "slice")
    assert record.wrong_from == (None, None, len("    return "))


@pytest.mark.parametrize(("split", "held"), [("train", "set_aside"), ("validation", "held_out")])
def test_held_out_operators_have_a_split_of_their_own(split: str, held: str) -> None:
    found = {record.operator: record.split for record in records(split, ("slice",))}
    assert found["slice"] == held
    assert found["arithmetic"] == split


def test_a_prefix_counts_once_however_often_it_stands_there() -> None:
    rows = records()
    weights = weigh(rows)
    firsts = [row[0] for record, row in zip(rows, weights) if record.labels[0] == 1]
    assert len(firsts) == 4
    assert len(set(firsts)) == 1
    # the reference and the last mutant share two steps; the first step stands in four records
    totals: dict[int, dict[bool, float]] = defaultdict(lambda: defaultdict(float))
    for record, row in zip(rows, weights):
        for index, (label, weight) in enumerate(zip(record.labels, row)):
            totals[index][label == 1] += weight or 0.0
    for index in range(3):
        assert totals[index][True] == pytest.approx(totals[index][False], rel=1e-4)


def test_masked_steps_have_no_weight_and_the_mean_is_one() -> None:
    rows = records()
    weights = weigh(rows)
    for record, row in zip(rows, weights):
        assert [w is None for w in row] == [label is None for label in record.labels]
    flat = [weight for row in weights for weight in row if weight is not None]
    assert sum(flat) / len(flat) == pytest.approx(1, rel=1e-4)
    assert max(flat) <= MAX_WEIGHT


def test_a_common_operator_weighs_less_per_label() -> None:
    rows = records()
    weights = weigh(rows)
    by_operator = {r.operator: row[1] for r, row in zip(rows, weights) if r.labels[1] == -1}
    assert by_operator["arithmetic"] < by_operator["off_by_one"]  # type: ignore[operator]


def test_nothing_weighs_nothing() -> None:
    assert weigh([]) == []
