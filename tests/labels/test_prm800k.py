from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepnav.core.errors import DataError
from stepnav.files.rows import FileRow, MalformedRow
from stepnav.labels.prm800k import read_session
from stepnav.labels.reader import inspect_labelled
from stepnav.labels.records import StepRecord
from stepnav.labels.sessions import Session
from tests.labels.label_files import alternative, session, step, write_lines


def read(fields: Any, *leave_out: str) -> Session:
    return read_session(FileRow(Path("a/p.jsonl"), 7, fields), leave_out=frozenset(leave_out))


WORKED = session(
    step(alternative("a", -1), alternative("b", 1), chosen=1),
    step(alternative("c", -1), alternative("d", -1), chosen=None, human="h"),
    step(alternative("e", None), chosen=0),
    step(alternative("f\n\n# Answer\n\n3", 1), alternative("g", 0), alternative("i", None)),
)


def test_each_rated_alternative_is_a_record_with_the_chosen_steps_before_it() -> None:
    n = None

    def record(step: int, place: int, *fields: Any, is_finished: bool = False) -> StepRecord:
        origin = f"p.jsonl:7, step {step}, alternative {place}"
        return StepRecord("Q", *fields, origin=origin, is_finished=is_finished)

    assert read(WORKED).records == (
        record(1, 1, ("a",), (-1,)),
        record(1, 2, ("b",), (1,)),
        record(2, 1, ("b", "c"), (n, -1)),
        record(2, 2, ("b", "d"), (n, -1)),
        record(4, 1, ("b", "h", "e", "f\n\n# Answer\n\n3"), (n, n, n, 1), is_finished=True),
        record(4, 2, ("b", "h", "e", "g"), (n, n, n, 0)),
    )


def test_everything_in_a_session_is_counted() -> None:
    found = read(WORKED)
    assert (found.problem, found.num_steps, found.is_solution) == ("Q", 4, True)
    assert found.num_labels == 6
    counts = {name: count for name, count in found.counts.items() if count}
    assert counts == {
        "alternatives": 8,
        "unrated": 2,
        "chosen": 3,
        "human_written": 1,
        "answers": 1,
        "finish=solution": 1,
    }


def test_a_chosen_completion_goes_before_a_written_one() -> None:
    found = read(session(step(alternative("a", 1), human="h"), step(alternative("b", 1))))
    assert found.records[1].completions == ("a", "b")
    assert (found.counts["chosen"], found.counts["human_unused"]) == (2, 1)


def test_nothing_is_placed_behind_a_step_without_a_choice() -> None:
    found = read(session(step(alternative("a", -1), chosen=None), step(alternative("b", 1))))
    assert [record.completions for record in found.records] == [("a",)]
    assert (found.counts["undecided"], found.counts["unreachable_steps"]) == (1, 1)
    assert found.counts["unreachable_alternatives"] == 1


def test_a_step_may_have_no_completions() -> None:
    found = read(session({"completions": None, "human_completion": {"text": "h"}}))
    assert found.records == ()
    assert (found.num_steps, found.counts["human_written"]) == (1, 1)


def test_equal_alternatives_are_kept_and_counted() -> None:
    found = read(session(step(alternative("a", 1), alternative("a ", -1), alternative("a", 1))))
    assert [record.labels for record in found.records] == [(1,), (-1,), (1,)]
    assert (found.counts["repeated"], found.counts["contradicted"]) == (2, 1)


def test_flagged_alternatives_are_left_out_only_if_asked() -> None:
    fields = session(step(alternative("a", 1, flagged=True), alternative("b", 0)))
    assert (len(read(fields).records), read(fields).counts["flagged"]) == (2, 1)
    left = read(fields, "flagged")
    assert [record.completions for record in left.records] == [("b",)]
    assert left.counts["flagged_left_out"] == 1


def test_marks() -> None:
    assert read(session(quality_control=True, screening=True, finish="bad_problem")).marks == {
        "quality_control",
        "screening",
        "bad_problem",
    }
    assert read(session()).marks == frozenset()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"question": {"problem": "Q"}, "label": {}}, "no field 'steps'"),
        ({"question": {"problem": 3}, "label": {"steps": []}}, "'problem' must be text"),
        (session("a"), "step 1 must be an object"),
        (session({"completions": ["a"]}), "step 1: completions must be a list of objects"),
        (session(step({"rating": 1})), "no field 'text'"),
        (session(step(alternative("a", 1), chosen=1)), "chosen_completion 1 is none of its 1"),
        (session(step(alternative("a", 1), chosen=-1)), "chosen_completion -1"),
        (session(step(alternative("a", 1), chosen=True)), "chosen_completion True"),
        (session({**step(chosen=None), "human_completion": "h"}), "human_completion must be"),
    ],
)
def test_malformed_sessions(fields: Any, reason: str) -> None:
    with pytest.raises(MalformedRow, match=reason):
        read(fields)


@pytest.mark.parametrize("rating", [2, -2, 0.5, True, "1", float("nan")])
def test_a_rating_out_of_range_is_an_error_that_names_the_line(rating: object) -> None:
    with pytest.raises(DataError, match=r"p\.jsonl, line 7, step 1: the rating .* is not -1, 0, 1"):
        read(session(step(alternative("a", rating))))


def test_ratings_that_a_table_made_decimal_are_ratings() -> None:
    (record,) = read(session(step(alternative("a", -1.0)))).records
    assert repr(record.labels) == "(-1,)"


ALTERNATIVES = st.builds(
    alternative,
    st.sampled_from("abc"),
    st.sampled_from([-1, 0, 1, None]),
    flagged=st.sampled_from([True, False, None]),
)


def test_what_would_be_a_labelled_blank_is_malformed(tmp_path: Path) -> None:
    rows = [
        session(step(alternative(" ", None), human="\n"), step(alternative("b", 1))),
        session(step(alternative("a", 1)), step(alternative("b", 1), alternative("\n", -1))),
        session(step(alternative("a", 1)), problem=" "),
    ]
    report = inspect_labelled(write_lines(tmp_path / "p.jsonl", rows)).report
    assert (report.sessions, report.ratings) == (1, 1)
    assert [str(row) for row in report.malformed_rows] == [
        "line 2: step 2 has a label and is blank",
        "line 3: its problem is blank",
    ]


@st.composite
def steps(draw: st.DrawFn) -> Any:
    alternatives = draw(st.lists(ALTERNATIVES, max_size=4))
    places = [None, *range(len(alternatives))]
    human = draw(st.sampled_from([None, "h"]))
    return step(*alternatives, chosen=draw(st.sampled_from(places)), human=human)


@given(
    st.lists(st.lists(steps(), max_size=5), min_size=1, max_size=4),
    st.sets(st.sampled_from(["flagged", "screening", "give_up"])),
    st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_all_counts_add_up(
    tmp_path_factory: pytest.TempPathFactory,
    many: list[list[Any]],
    leave_out: set[str],
    coins: list[bool],
) -> None:
    path = tmp_path_factory.mktemp("p") / "p.jsonl"
    rows = [
        session(*found, screening=coins[n], finish="give_up" if coins[-n] else "solution")
        for n, found in enumerate(many)
    ]
    write_lines(path, [*rows, {"question": {}, "label": {}}])
    data = inspect_labelled(path, leave_out=leave_out)
    report = data.report
    for whole, (count, parts) in report.sums.items():
        assert count == sum(parts.values()), whole
    assert report.rows == len(rows) + 1
    assert report.malformed == 1
    assert report.records == len(data.records) == report.ratings
    texts = [record.completions[-1] for record in data.records]
    assert len(texts) == report.ratings
    if not leave_out:
        assert report.steps == sum(map(len, many))
        alternatives = sum(len(item["completions"]) for found in many for item in found)
        assert report.details.get("alternatives", 0) == alternatives
