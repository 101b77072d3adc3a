"""A run on the workers of a local Ray: killed workers, no cluster, no package."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import venv
from contextlib import closing, suppress
from pathlib import Path

import pytest

from stepnav.core.codec import encode_tree
from stepnav.measure.run_folder import JOURNAL_NAME
from stepnav.run.journal import Journal
from tests.cli.processes import descendants

pytest.importorskip("ray")
pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
WORDS = ["bench", "--strategies", "cot,hgs:max_draws=12", "--split", "dev"]
ON_RAY = ["--ray", "local", "--workers", "2", "--cpus-per-worker", "0.5"]


def start(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "stepnav", *map(str, words)]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    said = "".join(process.communicate(timeout=800))
    return process.returncode, said


def workers(pid: int) -> list[int]:
    """Return the workers below a process, those that do something first."""
    found = []
    for child in descendants(pid):
        with suppress(OSError):
            title = Path(f"/proc/{child}/cmdline").read_bytes()
            if title.startswith(b"ray::_Worker"):
                found.append((not title.startswith(b"ray::_Worker.work"), child))
    return [child for _, child in sorted(found)]


def num_written(folder: Path) -> int:
    """Return how many answers the chunks of a run hold."""
    total = 0
    for path in (folder / "parts").glob("*.sqlite"):
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as database:
            total += database.execute("SELECT COUNT(*) FROM answers").fetchone()[0]
    return total


def kill_one(process: subprocess.Popen[str], folder: Path) -> None:
    """Kill a worker that has written some answers since the call."""
    before = num_written(folder)
    while process.poll() is None:
        at_work = workers(process.pid)
        if at_work and num_written(folder) >= before + 5:
            os.kill(at_work[0], signal.SIGKILL)
            return
        time.sleep(0.05)
    raise AssertionError("the run ended before a worker was killed")


def trees(folder: Path) -> dict[str, object]:
    with closing(Journal(folder / JOURNAL_NAME, is_read_only=True)) as journal:
        return {result.search_id: encode_tree(result.tree) for result in journal.results()}


def asked(folder: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(folder / JOURNAL_NAME)) as database:
        return sorted(database.execute("SELECT search_id, number FROM answers").fetchall())


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run folder of one process."""
    folder = tmp_path_factory.mktemp("ray") / "alone"
    code, said = finish(start(*WORDS, "--problems", "24", "--out", folder))
    assert code == 0, said
    return folder


def run(*words: object) -> None:
    """Run the command to its end; Ray gives itself 30 s to start, and a machine may be busy."""
    for _ in range(3):
        code, said = finish(start(*words))
        if "Ray did not start on this machine" not in said:
            break
    assert code == 0, said


def start_at_work(out: Path, *words: object) -> subprocess.Popen[str]:
    """Return a command whose workers have written something."""
    for _ in range(3):
        process = start(*words, "--out", out, "--resume", *ON_RAY)
        while num_written(out) < 5 and process.poll() is None:
            time.sleep(0.05)
        if process.poll() is None:
            return process
        said = finish(process)[1]
    raise AssertionError(said)


def test_two_workers_one_killed_twice_do_what_one_process_does(alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start_at_work(out, *WORDS, "--problems", "24")
    kill_one(process, out)
    kill_one(process, out)
    code, said = finish(process)
    assert code == 0, said
    assert trees(out) == trees(alone)
    assert asked(out) == asked(alone)
    assert not (out / "parts").exists()
    reports = [json.loads((folder / "report.json").read_text()) for folder in (out, alone)]
    assert [row["correct"] for row in reports[0]["rows"]] == [
        r["correct"] for r in reports[1]["rows"]
    ]


def test_an_interrupted_run_goes_on_without_ray(alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start_at_work(out, *WORDS, "--problems", "24")
    process.send_signal(signal.SIGINT)
    code, said = finish(process)
    assert code == 130
    assert "of 48 searches are done and kept; go on with: stepnav bench" in said
    code, said = finish(start(*WORDS, "--problems", "24", "--out", out, "--resume"))
    assert code == 0, said
    assert trees(out) == trees(alone)
    assert asked(out) == asked(alone)


def test_no_cluster_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address, says in [
        (f"127.0.0.1:{port}", "there is no Ray cluster at 127.0.0.1:"),
        ("auto", "there is no Ray cluster at auto"),
        ("ray://head:10001", "--ray must be auto, local or HOST:PORT"),
    ]:
        code, said = finish(
            start(*WORDS, "--problems", "2", "--out", tmp_path / "o", "--ray", address, "--resume")
        )
        assert code == 2, said
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert says in errors[0]
        assert "Traceback" not in said


def test_workers_without_the_package_are_one_line(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False)
    site = next(bare.glob("lib/python*/site-packages"))
    paths = [
        path for path in sys.path if path.endswith("site-packages")
    ]  # of which no .pth is read
    (site / "ray.pth").write_text("\n".join(paths))
    python = bare / "bin" / "python"
    port = 20000 + os.getpid() % 20000
    command = [
        python, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}",
        "--num-cpus=1", "--include-dashboard=false", f"--temp-dir={Path('/tmp') / f'ray-{port}'}",
    ]  # fmt: skip
    clean = {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONPATH"}
    head = subprocess.Popen(
        command, env=clean, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        said, deadline = "there is no Ray cluster", time.monotonic() + 240
        while "there is no Ray cluster" in said and time.monotonic() < deadline:  # it starts
            words = ["--out", tmp_path / "o", "--resume", "--ray", f"127.0.0.1:{port}"]
            code, said = finish(start(*WORDS, "--problems", "2", *words))
    finally:
        head.terminate()
        head.wait(60)
    assert code == 2, said
    assert "the workers of the cluster lack stepnav" in said
    assert "Traceback" not in said


def test_rollouts_on_workers_are_those_of_one_process(tmp_path: Path) -> None:
    words = ["data", "rollouts", "--problems", "10", "--solutions", "2", "--samples", "2"]
    for folder, more in (("alone", []), ("spread", ON_RAY)):
        run(*words, "--out", tmp_path / folder, "--resume", *more)
    alone, spread = (
        (tmp_path / name / "rollouts.jsonl").read_text() for name in ("alone", "spread")
    )
    assert spread == alone
    assert asked(tmp_path / "spread") == asked(tmp_path / "alone")


def test_mutation_data_of_workers_is_that_of_one_process(tmp_path: Path) -> None:
    words: list[object] = ["data", "mutate", "--repairs", "0"]
    for name in ("double", "triple", "halve"):
        (tmp_path / f"{name}.py").write_text(f"def {name}(x):\n    y = x + x\n    return y\n")
        test = (
            f"from {name} import {name}\n\ndef test_it():\n"
            f"    assert {name}(2) == 4\n    assert {name}(50) == 100\n"
        )
        (tmp_path / f"test_{name}.py").write_text(test)
        words += ["--program", tmp_path / f"{name}.py", "--tests", tmp_path / f"test_{name}.py"]
    for folder, more in (("alone", []), ("spread", ON_RAY)):
        run(*words, "--out", tmp_path / folder, "--resume", *more)
    for name in ("train.jsonl", "README.md", "mutants.parquet"):
        assert (tmp_path / "spread" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
