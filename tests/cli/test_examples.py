"""The examples of clusters: the array's script under bash, SkyPilot's file by its own parser."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepnav.cli.merge import run as merge

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WORDS = ["--strategies", "cot", "--problems", "5", "--split", "dev", "-q"]


def submit(folder: Path, runs: Path | None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the array's script as Slurm does, with this environment's command."""
    command = folder / "bin"
    command.mkdir(exist_ok=True)
    (command / "stepnav").write_text(f'#!/bin/sh\nexec {sys.executable} -m stepnav "$@"\n')
    (command / "stepnav").chmod(0o755)
    environment = {**os.environ, "PATH": f"{command}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    words = [] if runs is None else [str(runs), *WORDS]
    return subprocess.run(
        ["bash", str(EXAMPLES / "slurm_array.sh"), *words],
        env={**environment, **variables}, capture_output=True, text=True,
    )  # fmt: skip


def test_the_array_makes_shards_that_merge(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for task in ("1", "2", "2"):  # the last one starts again
        done = submit(tmp_path, runs, SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_COUNT="2")
        assert done.returncode == 0, done.stderr
    merge(runs=sorted(runs.glob("part-*")), out=runs / "whole")
    assert (runs / "whole" / "report.md").exists()


@pytest.mark.parametrize(
    ("has_folder", "says"), [(True, "a task of an array"), (False, "name the folder")]
)
def test_the_array_says_what_it_lacks(has_folder: bool, says: str, tmp_path: Path) -> None:
    done = submit(tmp_path, tmp_path / "runs" if has_folder else None)
    assert done.returncode != 0
    assert says in done.stderr


def test_skypilot_reads_its_file() -> None:
    sky = pytest.importorskip("sky")
    task = sky.Task.from_yaml(str(EXAMPLES / "skypilot.yaml"))
    assert task.num_nodes == 4
    assert "--shard" in task.run
