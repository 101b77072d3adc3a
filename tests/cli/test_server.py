"""Policies on servers from the command line: options, keys, servers that fail, and what is said."""

from __future__ import annotations

import ast
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import typer

import stepnav
from stepnav.build.tasks import SANDBOX_LEVELS
from stepnav.cli.main import app
from stepnav.sandbox import LEVELS
from tests.cli.test_main import ENVIRONMENT, RUN
from tests.policies.openai.fake_server import ALL_HONOURED, FakeOpenAI

SECRET = "sk-test-0123456789abcdef"
LIGHT = (
    "import atexit, sys; atexit.register(lambda: sys.stderr.write("
    "'heavy' * ('torch' in sys.modules or 'transformers' in sys.modules)));" + RUN
)
"""Says "heavy" at its end if a library was loaded that only models need."""


def start(*arguments: str, code: str = RUN, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, **environment},
    )


def call(*arguments: str, code: str = RUN, **environment: str) -> tuple[int, str, str]:
    process = start(*arguments, code=code, **environment)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "test.jsonl"
    rows = [{"question": f"What is {n} + 1?", "answer": f"#### {n + 1}"} for n in range(6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(ALL_HONOURED) as fake:
        yield fake


def bench(server: FakeOpenAI, data: Path, *more: str) -> list[str]:
    out = str(data.parent / "run")
    task = ["--task", "gsm8k", "--data", str(data), "--strategies", "self_consistency:samples=2"]
    return ["bench", "--out", out, *task, "--policy", server.url, *more]


def test_options_reach_the_server_and_the_key_stays_hidden(server: FakeOpenAI, data: Path) -> None:
    options = ["--max-solution-tokens", "40", "--extra-body", '{"top_k": 7}', "--concurrency", "2"]
    arguments = bench(server, data, *options, "--api-key-env", "MY_KEY", "--problems", "9")
    code, out, err = call(*arguments, MY_KEY=SECRET + "\r\n", OPENAI_API_KEY="another")
    assert code == 0, err
    assert server.keys == {f"Bearer {SECRET}"}
    assert {body["top_k"] for body in server.bodies} == {7}
    assert server.bodies[-1]["max_tokens"] == 40
    assert server.most_in_flight <= 2
    assert "gsm8k/test has 6 problems, fewer than --problems 9: all are taken" in err
    folder = data.parent / "run"
    for path in folder.iterdir():
        assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in out + err
    settings = (folder / "run.toml").read_text()
    assert "max_solution_tokens = 40" in settings
    assert "top_k = 7" in settings
    other = call(*bench(server, data, "--resume", "--problems", "9"))
    assert (other[0], "max_solution_tokens=40, extra_body" in other[2]) == (2, True), other[2]


def test_variables_stand_in_for_options(server: FakeOpenAI, data: Path) -> None:
    code, _, err = call(
        "solve",
        "--task",
        "gsm8k",
        "--data",
        str(data),
        "--policy",
        server.url,
        "--strategy",
        "cot",
        "--shots",
        "0",
        OPENAI_API_KEY=SECRET,
        STEPNAV_MAX_SOLUTION_TOKENS="5",
        STEPNAV_EXTRA_BODY='{"top_k": 3}',
    )
    assert code == 0, err
    assert server.keys == {f"Bearer {SECRET}"}
    assert (server.bodies[-1]["max_tokens"], server.bodies[-1]["top_k"]) == (5, 3)
    assert "in 1 of 1 searches a step was cut at a token limit" in err


def test_a_server_that_dies_says_how_to_go_on(server: FakeOpenAI, data: Path) -> None:
    task = ("--task", "gsm8k", "--data", str(data), "--policy", server.url, "--strategy", "cot")
    assert call("solve", *task)[0] == 0  # as many requests as the probes take, and one
    server.lives = 2 * len(server.bodies) + 2
    arguments = bench(server, data, "--retries", "0", "--active", "1")
    code, _, err = call(*arguments)
    assert code == 2, err
    last = err.strip().splitlines()[-1]
    assert last.startswith("error: cannot reach"), last
    told = re.search(r"; ([1-5]) of 6 searches are done and kept; go on with: stepnav (.*)$", last)
    assert told, last
    server.lives = None
    asked = len(server.bodies)
    code, out, err = call(*shlex.split(told[2]), "--json")
    assert code == 0, err
    assert json.loads(out)["rows"][0]["total"] == 6
    assert len(server.bodies) > asked


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal")
def test_a_lost_terminal_says_how_to_go_on(data: Path) -> None:
    with FakeOpenAI(replace(ALL_HONOURED, delay_s=1.5)) as server:
        process = start(*bench(server, data, "--active", "1"))
        deadline = time.monotonic() + 120
        while not (data.parent / "run" / "journal.sqlite").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert re.search(
        r"interrupted: \d of 6 searches .* go on with: stepnav bench .*--resume$", err.strip()
    )


def solve(url: str, *more: str, **environment: str) -> str:
    """Return the one line of a command that must fail, soon."""
    arguments = ("solve", "What is 1 + 1?", "--task", "gsm8k", "--strategy", "cot", "--policy", url)
    began = time.monotonic()
    code, out, err = call(*arguments, *more, **environment)
    assert (code, out) == (2, ""), err
    assert time.monotonic() - began < 30  # 10 on a quiet machine
    (line,) = err.strip().splitlines()
    return line


def test_what_is_wrong_with_a_server_is_one_line_soon() -> None:
    with FakeOpenAI(replace(ALL_HONOURED, api_key="right")) as server:
        assert "none was sent" in solve(server.url)
        wrong = solve(server.url, OPENAI_API_KEY=SECRET)
        assert "refused the API key" in wrong and SECRET not in wrong
    with FakeOpenAI(ALL_HONOURED) as server:
        assert "its models are fake (--policy-model)" in solve(
            server.url, "--policy-model", "fakee"
        )
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        assert "did not answer GET /models within 6 s" in solve(url)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("solve --seed 1 --seed 2", "--seed is given 2 times"),
        ("solve --json --json", "--json is given 2 times"),
        ("data merge a b --out x --out y", "--out is given 2 times"),
        ("train sft --model a --model b --data d --out o", "--model is given 2 times"),
        ("solve --strategy hgs:branching=2:branching=3", "sets 'branching' twice"),
        ("solve --split bogus", "has no split 'bogus'"),
        ("solve --index 100000", "--index"),
        ("solve --data /nowhere", "leave --data out"),
        ("solve --task gsm8k --policy arithmetic --reward arithmetic --data /nowhere", "no file"),
        (
            "solve --task gsm8k --hard 2 --policy arithmetic --reward arithmetic --data /nowhere",
            "no file",
        ),
        ("solve --max-seconds -1", "at least 0 (got -1.0)"),
        ("solve --sandbox bogus", "--sandbox must be one of process"),
        ("bench --out r --sandbox bogus", "--sandbox must be one of process"),
        ("solve --dtype float8", "--dtype must be one of float32"),
        ("bench --out r --dtype float8", "--dtype must be one of float32"),
        (
            "eval-prm --data d --out r --reward arithmetic --dtype float8",
            "--dtype must be one of float32",
        ),
        ("solve --reward /nowhere", "no model folder"),
        ("solve 1+1 --split dev", "leave them or its text out"),
        ("solve --timeout 3", "--timeout is for a server"),
        ("solve --api-key-env X", "--api-key-env is for a server"),
        ("solve --policy http://x --timeout 0", "(--timeout) must be at least"),
        ("solve --policy http://x --concurrency 0", "(--concurrency) must be at least 1"),
        ("solve --policy http://x --extra-body 5", "must be a JSON object"),
        ("solve --policy http://x --extra-body {", "is not JSON"),
        ('solve --policy http://x --extra-body {"stop":1}', "must not hold stop"),
        ("solve --policy http://x --api-key-env NO_SUCH_NAME", "and NO_SUCH_NAME holds none"),
        ("solve --policy http://x --api-key-env sk-0123", "and this is no such name"),
        ("solve --policy http://me:secret@x", "must hold no user and password"),
    ],
)
def test_arguments_are_checked_before_models_are_loaded(arguments: str, expected: str) -> None:
    code, out, err = call(*shlex.split(arguments, posix="{" not in arguments), code=LIGHT)
    assert (code, out) == (2, ""), err
    (line,) = err.strip().splitlines()
    assert line.startswith("error: ")
    assert expected in line
    assert "secret" not in line


def test_a_problem_that_is_no_text() -> None:
    code, _, err = call("solve", b"What is \xff?".decode(errors="surrogateescape"))
    assert (code, "not valid UTF-8" in err) == (2, True), err


def test_repeated_problems_are_told(server: FakeOpenAI, data: Path) -> None:
    data.write_text(data.read_text() * 2)
    code, _, err = call(*bench(server, data))
    assert code == 0, err
    assert "6 of 12 problems have the text of an earlier one" in err
    assert "gsm8k-test-6 is gsm8k-test-0 again" in err


def test_sandbox_levels_are_the_sandboxs() -> None:
    assert SANDBOX_LEVELS == LEVELS


def named_options(command: object) -> set[str]:
    """Return every option of a command and of its subcommands."""
    found = {name for param in command.params for name in param.opts}
    return found.union(*(named_options(sub) for sub in getattr(command, "commands", {}).values()))


def test_errors_name_options_that_there_are() -> None:
    known = named_options(typer.main.get_command(app)) | {"--help", "--nproc"}  # torchrun's
    unknown = []
    for path in Path(stepnav.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Raise):
                continue
            for text in ast.walk(node):
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    options = re.findall(r"(?<![\w-])--[a-z][a-z-]+", text.value)
                    unknown += [(path.name, name) for name in options if name not in known]
    assert unknown == []
