"""`stepnav grade` as users call it: a process of its own, programs in the real sandbox."""

from __future__ import annotations

import gzip
import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stepnav.build import CODE_TASKS
from stepnav.core.errors import ConfigError, DataError
from stepnav.measure.samples import ResultsFile
from stepnav.tasks.micro_python import problems as micro_python
from tests.cli.processes import descendants, left_over
from tests.cli.test_main import ENVIRONMENT, call, fails_with_one_line, start

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
        "grade", "--task", "micro-python", "--samples", str(path), "--resume", "--json", *options
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
    assert (report["bad_lines"], report["sandbox"]) == ([], "process")
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
    path = write(tmp_path / "s.jsonl", *lines)
    report = grade(path)
    assert report["pass_at_k"] == {"1": pytest.approx(0.1), "10": 1.0}
    assert report["too_few_samples"] == {"100": 1}
    low, high = report["pass_at_k_ci95"]["1"]
    assert 0 <= low < 0.1 < high <= 1
    report = grade(path, "--k", "2,5,1")
    assert report["pass_at_k"] == {k: pytest.approx(int(k) / 10) for k in ("1", "2", "5")}
    report = grade(write(tmp_path / "t.jsonl", *lines, right(IDS[1])))
    assert set(report["pass_at_k"]) == {"1"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *[
            (("--cpu-seconds", text), "--cpu-seconds must be above 0")
            for text in ("-1", "0", "nan")
        ],
        (("--cpu-seconds", "inf"), "at most 3600 (got inf)"),
        *[(("--k", text), "--k must be whole numbers") for text in ("0", "-1", "", "1,,2", "1.5")],
        (("--memory-mib", "0"), "--memory-mib"),
        (("--output-mib", "-3"), "--output-mib"),
        (("--workers", "0"), "--workers"),
        (("--sandbox", "glass"), "no sandbox level is called 'glass'"),
    ],
)
def test_options_are_checked_before_anything_is_read(
    tmp_path: Path, options: tuple[str, str], message: str
) -> None:
    line = fails_with_one_line("grade", "--samples", str(tmp_path / "none"), *options)
    assert message in line


def test_a_file_is_gone_on_with_under_the_same_options_only(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", right(IDS[0]))
    grade(path, "--cpu-seconds", "2")
    content = (tmp_path / "s.jsonl_results.jsonl").read_bytes()
    for options, told in (
        ((), "cpu_seconds: 2.0, now None"),
        (("--cpu-seconds", "2", "--output-mib", "7"), "output_mib: 32, now 7"),
        (("--cpu-seconds", "2", "--sandbox", "unsafe"), "sandbox: process, now unsafe"),
    ):
        words = ("grade", "--task", "micro-python", "--samples", str(path), *options, "--resume")
        assert f"under other options ({told})" in fails_with_one_line(*words)
    again = ("grade", "--task", "micro-python", "--samples", str(path), "--cpu-seconds", "2")
    assert "is there already; add --resume" in fails_with_one_line(*again)
    assert (tmp_path / "s.jsonl_results.jsonl").read_bytes() == content


def test_equal_programs_are_run_once(tmp_path: Path) -> None:
    slow = {"task_id": IDS[0], "completion": SLOW}
    path = write(tmp_path / "s.jsonl", *[slow] * 40, right(IDS[0]))
    began = time.monotonic()
    assert grade(path, "--cpu-seconds", "1")["statuses"] == {"passed": 1, "timeout": 40}
    assert time.monotonic() - began < 30, "forty times a second on two processes"


def test_a_program_that_sleeps_ends_at_its_limit(tmp_path: Path) -> None:
    sleeper = "    import time\n    time.sleep(600)\n"
    path = write(tmp_path / "s.jsonl", {"task_id": IDS[0], "completion": sleeper}, right(IDS[1]))
    began = time.monotonic()
    assert grade(path, "--cpu-seconds", "1")["statuses"] == {"passed": 1, "timeout": 1}
    assert time.monotonic() - began < 25


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_files_in_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "s.jsonl", right(IDS[0]), "", wrong(IDS[1]))
    path.write_bytes(path.read_text().encode(encoding))
    report = grade(path)
    assert (report["samples"], report["passed"], report["bad_lines"]) == (2, 1, [])


def test_a_file_that_is_not_what_its_mark_says_is_refused_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", right(IDS[0]))
    path.write_bytes(path.read_text().encode("utf-16")[:-1])
    line = fails_with_one_line("grade", "--task", "micro-python", "--samples", str(path))
    assert "not UTF-16" in line


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
    assert ", ".join(sorted(CODE_TASKS)) in line
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
    words = ("grade", "--task", "micro-python", "--samples", str(path), "--resume")
    line = fails_with_one_line(*words)
    assert "other samples or tests (line 1 differs)" in line
    assert file.read_bytes() == whole
    file.write_text('{"a": 1}\n')
    line = fails_with_one_line("grade", "--task", "micro-python", "--samples", str(path))
    assert "line 1: not a verdict of stepnav grade" in line


STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


@pytest.mark.parametrize("kill", STOPS, ids=lambda kill: kill.name)
def test_killed_and_started_again_it_goes_on(tmp_path: Path, kill: signal.Signals) -> None:
    slow = [{"task_id": IDS[n], "completion": SLOW} for n in range(4)]
    path = write(tmp_path / "s.jsonl", *map(right, IDS), *slow, *map(wrong, IDS))
    options = ("--workers", "2", "--cpu-seconds", "1")
    process = start("grade", "--task", "micro-python", "--samples", str(path), *options)
    file = tmp_path / "s.jsonl_results.jsonl"
    while not (file.exists() and file.read_bytes().count(b"\n") >= 7):  # slow ones are left
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(kill)
    _, err = process.communicate(timeout=60)
    kept = file.read_bytes()
    assert process.returncode == (-kill if kill == signal.SIGKILL else 130)
    assert ("go on with: stepnav grade" in err) == (kill != signal.SIGKILL)
    report = grade(path, *options)
    assert file.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert [line["line"] for line in results(path)] == list(range(1, 17))
    assert report["statuses"] == {"failed": 6, "passed": 6, "timeout": 4}


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("kill", STOPS, ids=lambda kill: kill.name)
def test_stopped_it_waits_for_no_program_and_leaves_none(
    tmp_path: Path, kill: signal.Signals, workers: str
) -> None:
    sleepers = [
        {"task_id": IDS[n], "completion": f"    import time\n    time.sleep({600 + n})\n"}
        for n in range(4)
    ]
    path = write(tmp_path / "s.jsonl", right(IDS[0]), *sleepers)
    options = ("--workers", workers, "--cpu-seconds", "60")
    process = start("grade", "--task", "micro-python", "--samples", str(path), *options)
    file = tmp_path / "s.jsonl_results.jsonl"
    while not (file.exists() and file.read_bytes().count(b"\n") == 1):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(1)  # the sleepers are asleep
    others = descendants(process.pid)
    assert len(others) >= 2 * int(workers), "warm parents and programs"
    with pytest.raises(ConfigError, match="another process is at work on"):
        ResultsFile(file, {})
    process.send_signal(kill)
    process.communicate(timeout=20)
    assert left_over(others) == []
    ResultsFile(file, {}).__exit__(None, None, None)


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
        ResultsFile(path, {})


def test_a_full_disk_is_named_with_the_way_on(tmp_path: Path) -> None:
    path = write(tmp_path / "s.jsonl", *map(right, IDS), *map(wrong, IDS))
    words = ("grade", "--task", "micro-python", "--samples", str(path))
    command = shlex.join([sys.executable, "-m", "stepnav", *words])
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f 1; {command}"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"cannot write {path}_results.jsonl: File too large; free some space" in done.stderr
    assert "with --resume" in done.stderr
    assert grade(path)["statuses"] == {"failed": 6, "passed": 6}
