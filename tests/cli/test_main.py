"""The command as users call it: a process of its own, over the shipped models."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepnav.zoo import MODELS_FOLDER

ROOT = Path(__file__).resolve().parents[2]
RUN = "from stepnav.cli.main import main; main()"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


def start(*arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=ENVIRONMENT,
    )


def call(*arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
    process = start(*arguments, cwd=cwd)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def fails_with_one_line(*arguments: str, cwd: Path | None = None) -> str:
    """Return the message of a command that must fail on bad input."""
    code, out, err = call(*arguments, cwd=cwd)
    assert code == 2, err
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    return lines[0]


BENCH = ("bench", "--problems", "3", "--strategies", "cot,hgs", "--seed", "5")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Return a finished run, and what its command printed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    code, out, err = call(*BENCH, "--out", str(folder), "--json")
    assert code == 0, err
    return folder, json.loads(out)


def test_help_names_every_command():
    code, out, _ = call("--help")
    assert code == 0
    for command in ("solve", "bench", "report", "show", "zoo"):
        assert command in out
        assert "Example" in call(command, "--help")[1] or command == "zoo"


def test_solve_prints_the_tree_the_answer_and_the_cost():
    code, out, err = call("solve", "--index", "1")
    assert code == 0, err
    for part in ("Problem", "Answer", "Stopped", "Cost", "policy tokens"):
        assert part in out
    assert "\x1b" not in out


def test_make_solve_shows_what_the_readme_says():
    recipe = re.search(r"^\t\$\(BIN\)/stepnav (solve .*)", (ROOT / "Makefile").read_text(), re.M)
    assert recipe is not None
    code, out, err = call(*recipe[1].split(), "--json")
    assert code == 0, err
    found = [json.loads(line) for line in out.splitlines()]
    assert [one["correct"] for one in found] == [True] * 3
    assert any(one["counts"]["backtracks"] for one in found)


def test_solve_a_given_problem_as_json():
    question = (
        "Mia has 12 coins. She finds 30 coins. She loses 2 coins. How many coins does Mia have now?"
    )
    code, out, err = call("solve", question, "--json", "--strategy", "cot")
    assert code == 0, err
    value = json.loads(out)
    assert value["tree"]["problem"]["question"] == question
    assert value["correct"] is None
    assert value["usage"]["policy_tokens"] > 0


def test_solve_hard_problems():
    code, out, err = call("solve", "--hard", "1")
    assert code == 0, err
    assert "Chain of thought answers" in err
    assert out.count("Answer") == 1


def test_bench_json_has_the_promised_keys(run_folder):
    _, report = run_folder
    assert {"task", "split", "problems", "seeds", "rows"} <= set(report)
    assert report["problems"] == 3
    for row in report["rows"]:
        assert {
            "strategy",
            "budget",
            "accuracy",
            "ci95",
            "correct",
            "total",
            "policy_tokens_per_problem",
            "reward_tokens_per_problem",
            "wall_s",
            "p_vs_baseline",
        } <= set(row)
    assert [row["strategy"] for row in report["rows"]] == ["cot", "hgs"]
    assert report["rows"][0]["p_vs_baseline"] is None


def test_report_again_is_the_same(run_folder):
    folder, report = run_folder
    code, out, err = call("report", str(folder), "--json")
    assert code == 0, err
    assert json.loads(out) == report
    for name in ("report.md", "report.html", "trees.html", "results.parquet", "run.toml"):
        assert (folder / name).stat().st_size > 0


def test_show_prints_the_tree_again(run_folder, tmp_path):
    folder, _ = run_folder
    code, out, err = call("show", str(folder), "--problem", "0", "--strategy", "hgs")
    assert code == 0, err
    assert "policy tokens" in out
    page = tmp_path / "tree.html"
    arguments = ("show", str(folder), "--problem", "0", "--strategy", "hgs", "--page", str(page))
    assert call(*arguments)[0] == 0
    assert page.read_text().startswith("<!doctype html>")


def test_an_interrupted_bench_says_how_to_go_on_and_does(run_folder, tmp_path):
    _, report = run_folder
    folder = tmp_path / "run"
    process = start(*BENCH, "--out", str(folder))
    journal = folder / "journal.sqlite-wal"
    deadline = time.monotonic() + 120
    while not (journal.exists() and journal.stat().st_size > 20_000):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.strip().splitlines()[-1].startswith("interrupted: ")
    assert err.strip().endswith("--resume")
    code, out, err = call(*BENCH, "--out", str(folder), "--json", "--resume")
    assert code == 0, err
    resumed = json.loads(out)
    for first, second in zip(report["rows"], resumed["rows"]):
        assert {**first, "wall_s": 0, "seconds_per_problem": 0} == {
            **second,
            "wall_s": 0,
            "seconds_per_problem": 0,
        }


def test_a_slip_in_a_models_name_does_not_bind_the_folder(tmp_path):
    arguments = ("bench", "--problems", "1", "--strategies", "cot", "--out", str(tmp_path / "run"))
    fails_with_one_line(*arguments, "--policy", "arithmetik")
    code, _, err = call(*arguments)
    assert code == 0, err


def test_a_changed_data_file_is_another_run(tmp_path):
    from stepnav.measure.plan_file import read_plan

    data = tmp_path / "test.jsonl"
    arguments = ("bench", "--task", "gsm8k", "--data", str(data), "--strategies", "cot")
    arguments += ("--policy", "arithmetic")
    arguments += ("--out", str(tmp_path / "run"), "--max-policy-tokens", "4", "--resume")
    data.write_text(json.dumps({"question": "What is 1 + 1?", "answer": "#### 2"}) + "\n")
    code, _, err = call(*arguments)
    assert code == 0, err
    assert read_plan(tmp_path / "run").settings["data_digest"]
    data.write_text(json.dumps({"question": "What is 1 + 2?", "answer": "#### 3"}) + "\n")
    assert "data_digest" in fails_with_one_line(*arguments)


@pytest.mark.parametrize("command", [("solve", "--json"), ("solve",), ("--help",)])
def test_a_closed_output_is_one_line(command):
    process = start(*command)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        err = process.stderr.read()
    assert process.wait(timeout=120) == 2
    assert err == "error: standard output was closed before all was printed\n"


def test_an_output_that_was_never_open():
    command = f"{sys.executable} -c '{RUN}' solve --strategy cot >&-"
    done = subprocess.run(
        ["sh", "-c", command], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interrupt_that_a_library_turns_into_its_own_error(monkeypatch, capsys):
    from stepnav.cli import main

    def fail(**_):
        with pytest.raises(KeyboardInterrupt):
            main._interrupt(signal.SIGINT, None)
        raise RecursionError("import of half a module")

    monkeypatch.setattr(main, "app", fail)
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        with pytest.raises(SystemExit) as stop:
            main.main()
    finally:
        main._interrupts.clear()
        for number, handler in handlers:
            signal.signal(number, handler)
    assert stop.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("MemoryError()", "the memory is full ("),
        ("RuntimeError('unable to mmap: Cannot allocate memory (12)')", "the memory is full ("),
        ("OSError(24, 'Too many open files')", "[Errno 24] Too many open files; raise the limit"),
    ],
)
def test_what_a_machine_has_no_more_of_is_one_line(error, says):
    program = f"from stepnav.cli import main\ndef app(**_): raise {error}\nmain.app = app\n{RUN}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith(f"error: {says}")


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["--modle"], 2)])
def test_an_interrupt_when_all_is_done_changes_nothing(arguments, code):
    late = "import atexit, os, signal; atexit.register(os.kill, os.getpid(), signal.SIGINT)"
    done = subprocess.run(
        [sys.executable, "-c", f"{late}; {RUN}", *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


def test_a_report_names_the_baseline_it_used(run_folder, tmp_path):
    import shutil

    folder = shutil.copytree(run_folder[0], tmp_path / "copy")
    assert call("report", str(folder), "--baseline", "hgs")[0] == 0
    assert "baseline hgs." in (folder / "report.md").read_text()


def test_a_run_without_a_finished_search(run_folder, tmp_path):
    import shutil
    import sqlite3

    folder = shutil.copytree(run_folder[0], tmp_path / "copy")
    with sqlite3.connect(folder / "journal.sqlite") as journal:
        journal.execute("DELETE FROM results")
    journal.close()
    for command in (("report", str(folder)), ("show", str(folder), "--problem", "0")):
        assert "holds no finished search yet" in fails_with_one_line(*command)


def test_a_run_is_never_overwritten(run_folder):
    folder, _ = run_folder
    message = fails_with_one_line(*BENCH, "--out", str(folder))
    assert "holds a run already; add --resume" in message
    fewer = [word if word != "3" else "2" for word in BENCH]
    other = fails_with_one_line(*fewer, "--out", str(folder), "--resume")
    assert "problems=3, now problems=2" in other


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("solve", "--strategy", "hgz"), "did you mean 'hgs'?"),
        (("solve", "--strategy", "hgs:branchin=3"), "did you mean 'branching'?"),
        (("solve", "--strategy", "hgs:branching=0"), "must be at least 1 (got 0)"),
        (("solve", "--strategy", "hgs:fallback=rot"), "did you mean 'root'?"),
        (("solve", "--task", "gsm8"), "did you mean 'gsm8k'?"),
        (("solve", "--split", "tets"), "did you mean 'test'?"),
        (("solve", "--policy", "arithmetik"), "did you mean 'arithmetic'?"),
        (("solve", "--reward", "/no/such/folder"), "no model folder"),
        (("solve", "--policy-model", "x"), "must be its URL"),
        (("solve", "--stratgy", "hgs"), "--strategy"),
        (("solve", ""), "the problem is empty"),
        (("solve", "x", "--hard", "1"), "leave the problem's text out"),
        (
            ("solve", "--task", "svamp", "--policy", "arithmetic", "--reward", "oracle"),
            "no exact step checker",
        ),
        (
            ("solve", "--task", "svamp"),
            "no policy ships for the task svamp; name one with --policy",
        ),
        (("bench", "--out", "run", "--budgets", "1,x"), "whole numbers between commas"),
        (("bench", "--out", "run", "--budgets", "9", "--max-policy-tokens", "9"), "not both"),
        (("bench", "--out", "run", "--baseline", "beem"), "did you mean 'beam'?"),
        (("bench", "--out", "/proc/run"), "cannot make the run folder"),
        (("report", "nowhere"), "is not a run folder"),
        (("solv",), "solve"),
        (("solve", "--device", "tpu"), "the device must be cpu"),
        (("solve", "--max-seconds", "nan"), "must be a number of at least 0 (got nan)"),
        (("solve", "--index", "99999999999999999999"), "--index"),
        (("zoo", "train", "--out", "z", "--device", "tpu"), "the device must be cpu"),
    ],
)
def test_bad_input_is_one_line(arguments, expected, tmp_path):
    assert expected in fails_with_one_line(*arguments, cwd=tmp_path)


def copy_model(folder: Path) -> Path:
    import shutil

    return shutil.copytree(MODELS_FOLDER / "arithmetic-policy", folder / "model")


def test_a_model_folder_without_its_weights(tmp_path):
    model = copy_model(tmp_path)
    (model / "model.safetensors").unlink()
    fails_with_one_line("solve", "--policy", str(model))


def test_a_model_folder_with_truncated_weights(tmp_path):
    model = copy_model(tmp_path)
    with (model / "model.safetensors").open("r+b") as file:
        file.truncate(10_000)
    fails_with_one_line("solve", "--policy", str(model))


def test_a_server_that_is_down():
    message = fails_with_one_line("solve", "--policy", "http://127.0.0.1:9", "--policy-model", "m")
    assert "127.0.0.1:9" in message


BROKEN_SERVER = """
import http.server, json

class Handler(http.server.BaseHTTPRequestHandler):
    num_asked = 0

    def log_message(self, *arguments):
        pass

    def answer(self, code, value):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, {"data": [{"id": "m"}]})

    def do_POST(self):
        Handler.num_asked += 1
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if Handler.num_asked > 30:
            self.answer(200, {"choices": "[/bold] rubbish"})
            return
        choice = {"text": "1 + 1 = [/x]2\\n#### 2", "finish_reason": "stop"}
        choices = [{**choice, "index": index} for index in range(request.get("n", 1))]
        usage = {"prompt_tokens": 5, "completion_tokens": 9}
        self.answer(200, {"choices": choices, "usage": usage})

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def broken_server():
    """Yield the address of a server that answers thirty requests, and then rubbish."""
    process = subprocess.Popen(
        [sys.executable, "-c", BROKEN_SERVER], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_server_that_breaks_ends_a_bench_in_one_clear_line(broken_server, tmp_path):
    data = tmp_path / "test.jsonl"
    data.write_text(json.dumps({"question": "What is 1 + 1?", "answer": "#### 3"}) + "\n")
    task = ("--task", "gsm8k", "--data", str(data), "--policy", broken_server)
    code, out, err = call("solve", *task, "--hard", "1", "--strategy", "cot")
    assert code == 0, err
    assert "Chain of thought answers 2, which is wrong." in err
    assert "1 + 1 = [/x]2" in out  # brackets are no markup
    bench = ("bench", *task, "--out", str(tmp_path / "run"))
    code, _, err = call(*bench, "--strategies", "self_consistency:samples=64:wave=1")
    assert code == 2, err
    last = err.strip().splitlines()[-1]
    assert last.startswith("error: 1 of 1 searches failed (the first: ")
    assert last.endswith("stepnav bench --resume tries them again")
    code, _, err = call("solve", *task, "--strategy", "cot")
    assert code == 2, err
    assert err.strip().splitlines()[-1].startswith("error: ")


def test_what_a_policy_of_ones_own_has_not_flushed_is_written_at_the_end(tmp_path: Path) -> None:
    lines = (
        "class Policy:",
        "    def __init__(self):",
        "        self.me = self  # only the garbage collector finds its end",
        "        self.log = open('log.txt', 'w')",
        "    def __call__(self, question, steps, *, temperature):",
        "        self.log.write(question)",
        "        return '#### 4'",
        "policy = Policy()",
    )
    (tmp_path / "mine.py").write_text("\n".join(lines))
    code, _, err = call(
        *("solve", "What is 2 + 2?", "--strategy", "cot", "--policy", "./mine.py:policy"),
        cwd=tmp_path,
    )
    assert code == 0, err
    assert (tmp_path / "log.txt").read_text() == "What is 2 + 2?"
