from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from stepnav.cli import main as cli
from stepnav.labels.reader import read_labelled
from tests.cli.processes import descendants, left_over
from tests.cli.test_main import call, start

PROGRAM = "def double(x):\n    y = x + x\n    return y\n"
TESTS = (
    "from double import double\n\ndef test_it():\n    assert double(2) == 4\n    assert "
    "double(50) == 100\n"
)


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["stepnav", "data", *map(str, words)])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "double.py").write_text(PROGRAM)
    (tmp_path / "test_double.py").write_text(TESTS)
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "wrong.py").write_text("def double(x):\n    y = x * 3\n    return y\n")
    return tmp_path


def test_own_programs(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words: list[object] = ["mutate", "--out", own / "out", "--json", "--repairs", 0]
    for name in ("double", "broken", "wrong"):
        words += ["--program", own / f"{name}.py", "--tests", own / "test_double.py"]
    assert run(monkeypatch, *words) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert (result["problems"], result["unused"], len(result["refused"])) == (1, {}, 2)
    assert "refused:" in captured.err and "broken.py does not parse" in captured.err
    assert "wrong.py: no test of double can be used" in captured.err
    assert "test_it: not for double: the reference fails its own test" in result["left_out"][0]
    assert f"left out: {result['left_out'][0]}" in captured.err
    lines = (own / "out" / "train.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert {row["task_id"] for row in rows} == {"double"}
    assert {"reference", "killed"} <= {row["verdict"] for row in rows}
    assert run(monkeypatch, *words) == 2
    assert "shard-1-of-1.jsonl is there already; add --resume" in capsys.readouterr().err
    assert run(monkeypatch, *words, "--resume") == 0  # all is in the journal
    assert json.loads(capsys.readouterr().out)["verdicts"] == result["verdicts"]


def test_a_program_that_begins_with_a_statement_is_data_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.py").write_text("RATE = 3\n\ndef price(n):\n    return n * RATE\n")
    (tmp_path / "test_shop.py").write_text("assert price(2) == 6\nassert price(5) == 15\n")
    words = ["--program", tmp_path / "shop.py", "--tests", tmp_path / "test_shop.py"]
    assert run(monkeypatch, "mutate", *words, "--out", tmp_path / "out", "--repairs", 0) == 0
    data = read_labelled(tmp_path / "out" / "train.jsonl")
    assert data.report.malformed == 0
    assert {record.prompt for record in data.records} == {"# Write the function price.\n"}
    assert "".join(data.records[0].completions) == (tmp_path / "shop.py").read_text()


SLOW_TESTS = "\n".join(f"assert double({n}) == {2 * n}" for n in range(3))
STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
def test_stopped_it_leaves_nothing_and_goes_on(own: Path, stop: signal.Signals) -> None:
    slow = (
        "def double(x):\n    y = 0\n    for _ in range(100000):\n        y = x + x\n    return y\n"
    )
    words = ["data", "mutate", "--out", str(own / "out"), "--workers", "2"]
    for name, program in (("double", PROGRAM), ("slow", slow)):
        (own / f"{name}.py").write_text(program)
        (own / f"{name}_tests.py").write_text(SLOW_TESTS)
        words += ["--program", str(own / f"{name}.py"), "--tests", str(own / f"{name}_tests.py")]
    words += ["--repairs", "3"]
    process = start(*words)
    journal = own / "out" / "shard-1-of-1.jsonl"
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 2):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    others = descendants(process.pid)
    assert len(others) >= 2, "the others are at work"
    process.send_signal(stop)
    _, error = process.communicate(timeout=60)
    assert process.returncode == (-stop if stop == signal.SIGKILL else 130)
    assert ("go on with: stepnav data mutate" in error) == (stop != signal.SIGKILL)
    assert left_over(others) == []
    kept = journal.read_bytes()
    code, _, error = call(*words, "--resume")
    assert code == 0, error
    assert journal.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert journal.read_bytes().count(b"\n") == 3


def test_values_of_more_digits_than_python_writes_are_compared(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "big.py").write_text(f"def big(n):\n    x = 10 ** n + {'7' * 4300}\n    return x\n")
    calls = ("big(6000) % 100 == 77", f"big({'9' * 4300} - {'9' * 4299}8) % 10 == 7", "big(2) > 1")
    (own / "test_big.py").write_text("".join(f"assert {call}\n" for call in calls))
    words = ["mutate", "--program", own / "big.py", "--tests", own / "test_big.py", "--json"]
    assert run(monkeypatch, *words, "--out", own / "out", "--repairs", 1) == 0
    assert json.loads(capsys.readouterr().out)["verdicts"]["killed"] > 3


def test_shards_and_merge(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--program", own / "double.py", "--tests", own / "test_double.py", "--repairs", 0]
    for shard in ("1/2", "2/2"):
        assert run(monkeypatch, "mutate", "--out", own / "s", "--shard", shard, *words) == 0
    assert "stepnav data merge" in capsys.readouterr().out
    assert run(monkeypatch, "merge", own / "s", "--out", own / "m", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["problems"] == 1
    assert sorted(result["files"]) == ["README.md", "mutants.parquet", "train.jsonl"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --task mbpp, or --program FILE with --tests FILE"),
        (["--task", "mbpp", "--program", "x.py"], "and not both"),
        (["--task", "humaneval"], "HumanEval is a test set and is never trained on"),
        (["--task", "gsm8k"], "no mutation data for the task 'gsm8k'"),
        (["--program", "x.py"], "each --program needs one --tests"),
        (["--program", "gone.py", "--tests", "t.py"], "nothing to mutate"),
    ],
)
def test_wrong_arguments_are_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "mutate", "--out", tmp_path / "out", *words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_wrong_shards_and_operators(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["mutate", "--program", own / "double.py", "--tests", own / "test_double.py"]
    for extra, message in (
        (["--shard", "2"], "must read i/n"),
        (["--shard", "3/2"], "1 <= i <= n"),
        (["--hold-out", "slices"], "did you mean 'slice'"),
        (["--sandbox", "glass"], "glass"),
    ):
        assert run(monkeypatch, *words, "--out", own / "o", *extra) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.strip().count("\n") == 0


def test_ids_of_mbpp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {
        "text": "Add one.",
        "code": "def f(x):\r\n  y = x + 1\r\n  return y",
        "task_id": 601,
        "test_setup_code": "",
        "test_list": ["assert f(1) == 2", "assert f(30) == 31"],
        "challenge_test_list": [],
    }
    path = tmp_path / "mbpp.jsonl"
    path.write_text(json.dumps(row) + "\n")
    words = ["mutate", "--task", "mbpp", "--data", path, "--out", tmp_path / "out", "--json"]
    assert run(monkeypatch, *words, "--ids", "12,601-602", "--repairs", 0) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["problems"] == 1
    assert result["refused"] == [
        "mbpp 12: training data come from ids 511-974 only",
        "mbpp 602: the file holds no such task id",
    ]
    first = json.loads((tmp_path / "out" / "train.jsonl").read_text().splitlines()[0])
    assert first["prompt"].startswith("Add one.\nassert f(1) == 2\n")
    assert first["prompt"].endswith("def f(x):\n")


def test_an_interrupt_says_how_to_go_on(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stepnav.cli.data.mutate.run_campaign", interrupt)
    words = ["mutate", "--program", own / "double.py", "--tests", own / "test_double.py"]
    assert run(monkeypatch, *words, "--out", own / "a b") != 0
    error = capsys.readouterr().err
    assert f"--out '{own / 'a b'}'" in error
    assert error.strip().endswith("--resume")
