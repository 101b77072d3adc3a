from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from stepnav.core.errors import ConfigError, DataError
from stepnav.labels.reader import read_labelled
from stepnav.mutate.labels import MutantVerdict
from stepnav.mutate.records import MutationRecord
from tests.labels.label_files import alternative, session, step, stepwise, write_lines

MUTANT = MutationRecord(
    prompt="Double x.\ndef f(x):\n",
    completions=("    y = x * 3\n", "    return y\n"),
    labels=(-1, None),
    wrong_from=(12, None),
    weights=(0.5, None),
    task_id="mbpp-601",
    operator="constant",
    spans=((0, 1),),
    replacements=("3",),
    step=0,
    verdict="killed",
    split="train",
    seed=0,
    level="process",
)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (session(step(alternative("a", 1))), "prm800k"),
        ({"input": "Q? Step 1: a ки", "label": "Q? Step 1: a +"}, "math-shepherd"),
        (stepwise(1, -1), "stepwise"),
        (MUTANT.to_json(), "mutation"),
    ],
)
def test_the_format_is_told_by_the_first_recognisable_row(
    tmp_path: Path, row: Any, expected: str
) -> None:
    path = write_lines(tmp_path / "f.jsonl.gz", ["{torn", {"other": 1}, row])
    data = read_labelled(path)
    report = data.report
    assert (data.format, report.format) == (expected, expected)
    assert (report.rows, report.sessions, report.malformed) == (3, 1, 2)
    assert [row.number for row in report.malformed_rows] == [1, 2]


def test_mutation_files_keep_what_records_hold(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "train.jsonl", [MUTANT.to_json()])
    data = read_labelled(path)
    (record,) = data.records
    assert (record.labels, record.wrong_from) == ((-1, None), (12, None))
    assert record.weights == MUTANT.weights == (0.5, None)
    assert record.origin == "train.jsonl:1, mbpp-601, constant"
    assert (data.kind, data.report.ratings, data.report.steps) == ("rating", 1, 2)
    assert dict(data.report.details) == {
        "masked": 1,
        "split=train": 1,
        "verdict=killed": 1,
        "weighted": 1,
    }


@pytest.mark.parametrize("verdict", get_args(MutantVerdict))
def test_the_verdict_of_a_program_tells_whether_it_is_right(tmp_path: Path, verdict: str) -> None:
    row = {**MUTANT.to_json(), "verdict": verdict}
    (record,) = read_labelled(write_lines(tmp_path / "m.jsonl", [row])).records
    assert record.is_right == (verdict not in ("repairable", "killed", "timeout"))


def test_what_a_row_says_of_the_whole_solution_is_true_or_false(tmp_path: Path) -> None:
    rows = [stepwise(1, -1), stepwise(1, -1, is_finished=False), stepwise(1, is_right="yes")]
    report = read_labelled(write_lines(tmp_path / "m.jsonl", rows)).report
    assert (report.sessions, report.solutions) == (2, 1)
    (bad,) = report.malformed_rows
    assert "is_right must be true, false or null (got 'yes')" in bad.reason


def test_the_mutation_table_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from stepnav.mutate.output import _write_table

    _write_table(tmp_path / "mutants.parquet", [MUTANT])
    data = read_labelled(tmp_path / "mutants.parquet")
    assert (data.format, data.records[0].labels) == ("mutation", (-1, None))
    assert data.records[0].origin == "mutants.parquet:1, mbpp-601, constant"


def test_of_several_splits_the_training_one_is_used(tmp_path: Path) -> None:
    splits = ("train", "validation", "held_out", "set_aside", "validation")
    rows = [{**MUTANT.to_json(), "split": split} for split in splits]
    report = read_labelled(write_lines(tmp_path / "all.jsonl", rows)).report
    assert {why: (n.sessions, n.ratings) for why, n in report.excluded.items()} == {
        "split=validation": (2, 2),
        "split=held_out": (1, 1),
        "split=set_aside": (1, 1),
    }
    assert (report.sessions, report.ratings, report.details["split=train"]) == (1, 1, 1)
    for whole, (count, parts) in report.sums.items():
        assert count == sum(parts.values()), whole
    assert "left out: 2 sessions with 2 labels (split=validation)" in report.notes


@pytest.mark.parametrize("splits", [("validation",), ("validation", "held_out")])
def test_a_file_without_a_training_split_is_used_whole(
    tmp_path: Path, splits: tuple[str, ...]
) -> None:
    rows = [{**MUTANT.to_json(), "split": split} for split in splits]
    report = read_labelled(write_lines(tmp_path / "v.jsonl", rows)).report
    assert (report.sessions, report.excluded) == (len(splits), {})


def test_an_unmerged_journal_is_told_apart(tmp_path: Path) -> None:
    header = {"format": 1, "num_problems": 7, "shard": [1, 1], "held_out": []}
    path = write_lines(tmp_path / "shard-1-of-1.jsonl", [header, {"task_id": "mbpp-511"}])
    with pytest.raises(DataError, match=rf"make one with: stepnav data merge {path} --out FOLDER"):
        read_labelled(path)


def test_where_a_row_came_from_is_kept(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "s.jsonl", [stepwise(1, origin="gsm8k-train-3/0"), stepwise(-1)])
    assert [record.origin for record in read_labelled(path).records] == [
        "gsm8k-train-3/0",
        "s.jsonl:2",
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**stepwise(1, 1), "labels": [1]}, "2 completions but 1 labels"),
        (stepwise(), "it has no steps"),
        (stepwise(1, prompt=" "), "its problem is blank"),
        ({**stepwise(None, 1), "completions": ["", " "]}, "step 2 has a label and is blank"),
        (stepwise(1, prompt=["Q"]), "'prompt' must be text"),
        ({**stepwise(1), "completions": [3]}, "step 1 must be text"),
        ({**stepwise(1), "completions": "a"}, "'completions' must be a list"),
        (stepwise("+"), "the label of step 1 must be true, false, a number or null"),
        (stepwise(1, wrong_from=[0, 1]), "wrong_from must be a list of 1"),
        (stepwise(1, wrong_from=[-1]), "offsets of at least 0"),
        (stepwise(1, weights=3), "weights must be a list of 1 numbers or nulls"),
        (stepwise(1, weights=[1, 1]), "weights must be a list of 1 numbers or nulls"),
        (stepwise(None, 1, weights=[None, None]), "the weight of step 2 must be a number"),
        (stepwise(1, weights=[-0.5]), "the weight of step 1 must be a number of at least 0"),
        (stepwise(1, weights=[True]), "the weight of step 1 must be a number of at least 0"),
        (stepwise(None, weights=["a"]), "the weight of step 1 must be a number of at least 0"),
        ({"prompt": "Q", "completions": ["a"]}, "no field 'labels'"),
    ],
)
def test_malformed_rows_are_named_and_the_rest_is_used(
    tmp_path: Path, row: Any, reason: str
) -> None:
    path = write_lines(tmp_path / "s.jsonl", [stepwise(True), row])
    report = read_labelled(path).report
    assert (report.sessions, report.malformed) == (1, 1)
    assert report.malformed_rows[0].number == 2
    assert reason in report.malformed_rows[0].reason
    write_lines(path, [row])
    with pytest.raises(DataError, match=r"none of its 1 rows can be used|not step-labelled data"):
        read_labelled(path)


def test_few_malformed_rows_are_named_and_all_are_counted(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "s.jsonl", [stepwise(True), *["{"] * 8])
    report = read_labelled(path).report
    assert (report.rows, report.malformed, len(report.malformed_rows)) == (9, 8, 5)
    assert report.notes[-1] == "malformed: 3 further rows"


def test_the_figures_of_a_small_file(tmp_path: Path) -> None:
    rows = [stepwise(1, 0, None), stepwise(-1, prompt="Q "), stepwise(None, prompt="RS")]
    report = read_labelled(write_lines(tmp_path / "s.jsonl", rows)).report
    assert (report.sessions, report.problems, report.solutions) == (3, 2, 3)
    assert (report.steps, report.ratings, report.records) == (5, 3, 3)
    assert report.labels == {"-1": 1, "0": 1, "1": 1}
    assert report.details == {"masked": 2, "sessions_unlabelled": 1}
    assert report.sums["steps"] == (5, {"ratings": 3, "masked": 2})
    steps, characters = report.lengths["steps"], report.lengths["record_characters"]
    assert (steps.min, steps.median, steps.mean, steps.max) == (1, 1, 1.7, 3)
    assert (characters.min, characters.median, characters.max) == (8, 8, 19)


def test_equal_beginnings_with_different_labels_are_counted(tmp_path: Path) -> None:
    rows = [
        stepwise(1, 1, -1),
        stepwise(1, -1, -1),  # differs in step 2
        stepwise(1, 1),  # and again
        stepwise(-1, prompt="R"),  # another problem
        stepwise(None, None, 1),  # and in step 3
        {**stepwise(-1), "completions": ["other"]},
    ]
    path = write_lines(tmp_path / "s.jsonl", rows)
    assert read_labelled(path).report.details["contradicted"] == 2
    write_lines(path, [stepwise(0.5), stepwise(0.25)])
    assert "contradicted" not in read_labelled(path).report.details


def test_values_are_counted_in_bins(tmp_path: Path) -> None:
    rows = [stepwise(0.0, 0.05, 0.1, 0.95, 1.0)]
    labels = read_labelled(write_lines(tmp_path / "s.jsonl", rows)).report.labels
    assert {name: count for name, count in labels.items() if count} == {
        "0.0-0.1": 2,
        "0.1-0.2": 1,
        "0.9-1.0": 2,
    }
    assert len(labels) == 10


def test_sessions_are_left_out_by_their_marks(tmp_path: Path) -> None:
    rows = [
        session(step(alternative("a", 1)), quality_control=True, screening=True),
        session(step(alternative("b", 1), alternative("c", -1)), finish="give_up"),
        session(step(alternative("d", 0), alternative("e", 1, flagged=True))),
    ]
    path = write_lines(tmp_path / "p.jsonl", rows)
    assert read_labelled(path).report.sessions == 3
    report = read_labelled(path, leave_out=["screening", "give_up", "flagged"]).report
    assert {why: (n.sessions, n.ratings) for why, n in report.excluded.items()} == {
        "screening": (1, 1),
        "give_up": (1, 2),
    }
    assert (report.sessions, report.ratings, report.details["flagged_left_out"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "prm80k"}, "--format must be one of .* (did you mean 'prm800k'?)"),
        ({"kind": "ratings"}, "--labels must be one of .* (did you mean 'rating'?)"),
        ({"leave_out": ["screen"]}, "--leave-out must be one of .* (did you mean 'screening'?)"),
        ({"kind": "value"}, "whose labels are read as rating (got --labels value)"),
        ({"format": "stepwise", "leave_out": ["flagged"]}, "only PRM800K files say"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: Any, message: str) -> None:
    path = write_lines(tmp_path / "p.jsonl", [session(step(alternative("a", 1)))])
    with pytest.raises(ConfigError) as caught:
        read_labelled(path, **options)
    for part in message.split(" .* "):
        assert part in str(caught.value)


def test_a_file_of_something_else_is_one_clear_error(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "g.jsonl", [{"question": "Q", "answer": "#### 1"}])
    with pytest.raises(
        DataError, match=r"not step-labelled data; its rows have .*question, answer"
    ):
        read_labelled(path)
    write_lines(path, ["a", "b"])
    with pytest.raises(DataError, match="none of its 2 rows can be read; the first is line 1: not"):
        read_labelled(path)
    write_lines(path, [stepwise(1)])
    for other in ("prm800k", "math-shepherd", "mutation"):
        with pytest.raises(DataError, match=f"none of its 1 rows can be used as {other}"):
            read_labelled(path, format=other)
    write_lines(path, [{**MUTANT.to_json(), "weights": 3}])
    with pytest.raises(DataError, match="weights must be a list of 2"):
        read_labelled(path)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("split", "sessions", "ratings", "labels", "steps", "alternatives"),
    [
        (
            "train", 942, 48_672, {"-1": 19_656, "0": 10_234, "1": 18_782},
            (15_311, 12_960, 2_339, 12), (49_494, 822),
        ),
        (
            "test", 106, 5_082, {"-1": 1_970, "0": 867, "1": 2_245},
            (1_860, 1_603, 254, 3), (5_192, 110),
        ),
    ],
)  # fmt: skip
def test_prm800k_phase_1(
    data_folder: Path,
    split: str,
    sessions: int,
    ratings: int,
    labels: dict[str, int],
    steps: tuple[int, ...],
    alternatives: tuple[int, ...],
) -> None:
    data = read_labelled(data_folder / "prm800k" / f"phase1_{split}.jsonl.gz")
    report, details = data.report, data.report.details
    assert (report.sessions, report.ratings, report.labels) == (sessions, ratings, labels)
    assert len(data.records) == ratings
    assert steps == (report.steps, *map(details.get, ("chosen", "human_written", "undecided")))
    assert alternatives == (details["alternatives"], details["unrated"])
    for whole, (count, parts) in report.sums.items():
        assert count == sum(parts.values()), whole
    assert (report.malformed, report.excluded) == (0, {})
    for record in data.records:
        assert [label is None for label in record.labels] == [True] * (len(record.labels) - 1) + [
            False
        ]


@pytest.mark.realdata
def test_official_prm800k_lines_of_both_phases(data_folder: Path) -> None:
    data = read_labelled(data_folder / "prm800k" / "raw_format_sample.jsonl")
    assert (data.report.sessions, data.report.ratings, data.report.malformed) == (6, 73, 0)
    pencils = [record for record in data.records if record.prompt.startswith("Three pencils")]
    assert pencils[6].completions[1] == "We have $3p+e=1.24$ and $5p+e=1.82$."  # human-written
    assert pencils[-1].completions[-1].endswith("# Answer\n\n29")
    assert pencils[-1].labels == (None,) * 5 + (1,)
