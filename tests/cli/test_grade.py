"""`stepnav grade` as users call it: a process of its own, programs in the real sandbox."""

from __future__ import annotations

import gzip
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from stepnav.core.errors import DataError
from stepnav.measure.samples import ResultsFile
from stepnav.tasks.micro_python import problems as micro_python
from tests.cli.test_main import call, fails_with_one_line, start

HUMANEVAL = Path(__file__).parents[3] / "shared" / "data" / "humaneval" / "HumanEval.jsonl.gz"
IDS = [f"micro-python-test-0-{index}" for index in range(6)]
SLOW = "    while True:\n        pass\n"


def right(problem_id: str) -> dict[str, Any]:
    return {"task_id": problem_id, "completion": "".join(micro_python.solve(problem_id))}


def wrong(problem_id: str) -> dict[str, Any]:
    return {"task_id": problem_id, "completion": "    return None\n"}


def write(path: Path, *lines: dict[str, Any] | str) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(text + "\n" for text in texts))
    return path


def grade(path: Path, *options: str) -> dict[str, Any]:
    code, out, err = call(
        "grade", "--task", "micro-python", "--samples", str(path), "--json", *options
    )
    assert code == 0, err
    return json.loads(out)


def results(path: Path) -> list[dict[str, Any]]:
    text = (path.parent / (path.name + "_results.jsonl")).read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_pass_at_k_and_a_verdict_per_sample(tmp_path: Path) -> None:
    whole = {"task_id": IDS[2], "solution": micro_python.spec_of(IDS[2]).program, "id": 7}
    samples = [right(IDS[0]), wrong(IDS[0]), right(IDS[1]), right(IDS[1]), whole, wrong(IDS[2])]
    path = write(tmp_path / "s.jsonl", *samples)
    report = grade(path)
    assert report["pass_at_k"] == {"1": pytest.approx((0.5 + 1 + 0.5) / 3)}
    assert (report["samples"], report["passed"], report["problems"]) == (6, 4, 3)
    assert (report["bad_lines"], report["sandbox"]) == ([], ["process"])
    found = results(path)
    assert [line["line"] for line in found] == [1, 2, 3, 4, 5, 6]
    assert [line["passed"] for line in found] == [True, False, True, True, True, False]
    assert [
        {name: line[name] for name in sample} for line, sample in zip(found, samples)
    ] == samples
    assert found[0]["result"] == "passed"
    assert found[1]["result"].startswith("failed: assert solve(")


def test_pass_at_10_where_every_problem_has_ten_samples(tmp_path: Path) -> None:
    lines = [right(IDS[0]), *[wrong(IDS[0])] * 9]
    report = grade(write(tmp_path / "s.jsonl", *lines))
    assert report["pass_at_k"] == {"1": pytest.approx(0.1), "10": 1.0}
    report = grade(write(tmp_path / "t.jsonl", *lines, right(IDS[1])))
    assert set(report["pass_at_k"]) == {"1"}


def test_bad_lines_are_named_and_the_rest_is_graded(tmp_path: Path) -> None:
    path = write(
        tmp_path / "s.jsonl",
        "{torn",
        right(IDS[0]),
        {"task_id": "HumanEval/0", "completion": ""},
        "",
        {"task_id": IDS[0]},
        {"completion": "x"},
        "[1]",
        {"task_id": IDS[0], "completion": 3},
    )
    code, out, err = call("grade", "--task", "micro-python", "--samples", str(path), "--json")
    assert code == 0, err
    report = json.loads(out)
    assert (report["samples"], report["passed"]) == (1, 1)
    assert report["bad_lines"] == [1, 3, 5, 6, 7, 8]
    assert "line 1: not valid JSON" in err
    assert "line 3: micro-python has no problem 'HumanEval/0'" in err
    assert "line 5: neither completion nor solution" in err
    assert "line 6: no task_id" in err
    assert "line 8: completion must be text" in err


def test_nothing_to_grade_and_other_mistakes_are_refused(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.jsonl")
    options = ("grade", "--task", "micro-python", "--samples")
    assert "there is no file" in fails_with_one_line(*options, missing)
    assert list(tmp_path.iterdir()) == []
    empty = write(tmp_path / "empty.jsonl")
    assert "no sample that could be graded" in fails_with_one_line(*options, str(empty))
    path = write(tmp_path / "s.jsonl", right(IDS[0]))
    line = fails_with_one_line("grade", "--task", "gsm8k", "--samples", str(path))
    assert "humaneval, mbpp, micro-python" in line
    line = fails_with_one_line(*options, str(path), "--sandbox", "proces")
    assert "did you mean 'process'?" in line
    assert "leave --data out" in fails_with_one_line(*options, str(path), "--data", str(path))
    code, _, err = call(*options, str(write(tmp_path / "bad.jsonl", "{")))
    assert code == 2
    assert err.strip().splitlines()[-1].startswith("error: ")


def test_a_torn_last_line_is_graded_again_and_foreign_results_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", right(IDS[0]), wrong(IDS[1]))
    first = grade(path)
    file = Path(first["results"])
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    assert grade(path) == first
    assert file.read_bytes() == whole
    write(path, wrong(IDS[0]), wrong(IDS[1]))
    line = fails_with_one_line("grade", "--task", "micro-python", "--samples", str(path))
    assert "other samples or tests (line 1 differs)" in line
    assert file.read_bytes() == whole
    file.write_text('{"a": 1}\n')
    line = fails_with_one_line("grade", "--task", "micro-python", "--samples", str(path))
    assert "line 1: not a verdict of stepnav grade" in line


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_started_again_it_goes_on(tmp_path: Path, kill: signal.Signals) -> None:
    slow = {"task_id": IDS[0], "completion": SLOW}
    path = write(tmp_path / "s.jsonl", *map(right, IDS), *[slow] * 4, *map(wrong, IDS))
    options = ("grade", "--task", "micro-python", "--samples", str(path), "--workers", "2")
    process = start(*options, "--cpu-seconds", "2")
    file = tmp_path / "s.jsonl_results.jsonl"
    while not (file.exists() and file.read_bytes().count(b"\n") >= 7):  # two slow ones are left
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(kill)
    _, err = process.communicate(timeout=60)
    kept = file.read_bytes()
    assert process.returncode == (130 if kill == signal.SIGINT else -signal.SIGKILL)
    assert ("go on with: stepnav grade" in err) == (kill == signal.SIGINT)
    report = grade(path, "--cpu-seconds", "2")
    assert file.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert [line["line"] for line in results(path)] == list(range(1, 17))
    assert report["statuses"] == {"failed": 6, "passed": 6, "timeout": 4}


@pytest.mark.realdata
@pytest.mark.skipif(not HUMANEVAL.is_file(), reason=f"HumanEval is not at {HUMANEVAL}")
def test_humaneval_references_pass_and_empty_bodies_do_not(tmp_path: Path) -> None:
    with gzip.open(HUMANEVAL, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    samples = [
        {"task_id": row["task_id"], "completion": body}
        for row in rows
        for body in (row["canonical_solution"], "    return None\n")
    ]
    path = write(tmp_path / "s.jsonl", *samples)
    options = ("--data", str(HUMANEVAL), "--json", "--cpu-seconds", "20")
    code, out, err = call("grade", "--samples", str(path), *options)
    assert code == 0, err
    report = json.loads(out)
    assert (report["samples"], report["problems"]) == (328, 164)
    assert report["problems_without_samples"] == 0
    assert all(line["passed"] for line in results(path)[::2])
    assert report["passed"] == 164 + sum(line["passed"] for line in results(path)[1::2])


@pytest.mark.parametrize("line", ["Infinity", "NaN", "1e400", '"x"', "[" * 50_000])
def test_a_line_number_that_is_none_is_one_line(tmp_path, line):
    path = tmp_path / "results.jsonl"
    path.write_text(f'{{"line": {line}, "passed": true}}\n')
    with pytest.raises(DataError, match="line 1: not a verdict of stepnav grade"):
        ResultsFile(path)
