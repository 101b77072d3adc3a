"""Every command in an install without extras: it works, or says in one line what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from stepnav.cli.main import app

SCRIPT = Path(__file__).with_name("core_only.py")
LOCAL, TRAIN, BENCH = (f"stepnav[{name}]" for name in ("local", "train", "bench"))
SERVER = ("--policy", "http://localhost:1/v1")
WORKS = ""
TRAINING = ("--model", "m", "--data", "steps.jsonl", "--out", "new")

COMMANDS: list[tuple[str, tuple[str, ...], str]] = [
    ("solve", (), LOCAL),
    ("solve", ("--strategy", "cot", *SERVER), "stepnav[openai]"),
    ("bench", ("--out", "new"), BENCH),
    ("tune", ("--out", "new", "--budgets", "50"), BENCH),
    ("merge", ("run", "--out", "new"), BENCH),
    ("report", ("run",), "stepnav bench makes one"),
    ("show", ("run", "--problem", "0"), "stepnav bench makes one"),
    ("serve", (), "stepnav[serve]"),
    ("check", (), "stepnav[bench]"),
    ("grade", ("--samples", "samples.jsonl", "--task", "micro-python"), WORKS),
    ("grade", ("--samples", "samples.jsonl", "--task", "mbpp"), "stepnav[hub]"),
    ("eval-prm", ("--data", "steps.jsonl", "--out", "new", "--reward", "arithmetic-prm"), BENCH),
    ("calibrate", ("--data", "steps.jsonl", "--out", "new", "--reward", "arithmetic-prm"), BENCH),
    ("strategies", ("hgs",), WORKS),
    ("train sft", TRAINING, TRAIN),
    ("train prm", TRAINING, TRAIN),
    ("train orm", TRAINING, TRAIN),
    ("train expert", ("--model", "arithmetic", "--out", "new"), TRAIN),
    ("train grpo", ("--model", "arithmetic", "--out", "new"), TRAIN),
    ("zoo train", ("--out", "new"), TRAIN),
    ("data inspect", ("steps.jsonl",), WORKS),
    ("data convert", ("steps.jsonl", "--out", "new.jsonl"), WORKS),
    ("data convert", ("steps.jsonl", "--out", "new.parquet"), BENCH),
    ("data rollouts", ("--out", "new"), LOCAL),
    ("data rollouts", ("--out", "new", *SERVER), "stepnav[openai]"),
    ("data mutate", ("--out", "new", "--task", "mbpp"), "stepnav[hub]"),
    ("data mutate", ("--out", "new", "--program", "p.py", "--tests", "t.py"), BENCH),
    ("data merge", ("run", "--out", "new"), "stepnav data mutate"),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "steps.jsonl").write_text(
        '{"prompt": "q", "completions": ["a", "b"], "labels": [1, -1]}\n'
    )
    (tmp_path / "samples.jsonl").write_text(
        '{"task_id": "micro-python-dev-3-0", "completion": "    return 0\\n"}\n'
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "p.py").write_text("def add(a, b):\n    return a + b\n")
    (tmp_path / "t.py").write_text("from p import add\n\ndef test():\n    assert add(1, 2) == 3\n")
    return tmp_path


@pytest.mark.parametrize(("command", "options", "says"), COMMANDS)
def test_a_command_works_or_names_the_extra(
    place: Path, command: str, options: tuple[str, ...], says: str
) -> None:
    found = subprocess.run(
        [sys.executable, str(SCRIPT), *command.split(), *options],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in found.stderr
    if says == WORKS:
        assert found.returncode == 0, found.stderr
        return
    assert found.returncode == 2, found.stdout
    assert found.stdout == ""
    last = found.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert says in last
    assert not (place / "new").exists()


def commands_of(group: Any, prefix: str = "") -> set[str]:
    """Return the names of all commands of a parser."""
    names: set[str] = set()
    for name, command in group.commands.items():
        is_group = hasattr(command, "commands")
        names |= commands_of(command, f"{prefix}{name} ") if is_group else {prefix + name}
    return names


def test_every_command_is_tried() -> None:
    assert commands_of(typer.main.get_command(app)) == {command for command, _, _ in COMMANDS}


def test_a_library_that_nobody_asked_for_is_named_too() -> None:
    from stepnav.cli.main import _explain

    error = ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")
    assert _explain(error) == "this needs torch: pip install 'stepnav[local]'"
    assert _explain(ModuleNotFoundError("No module named 'ours'", name="ours")) is None
