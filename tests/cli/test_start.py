"""What the first step waits for: with shipped models `transformers` is never imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_main import ENVIRONMENT, RUN

TELL = "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "

SLOW = {"transformers", "torch._dynamo", "torch.distributed.fsdp", "sympy", "pandas", "accelerate"}
"""Imports that take a second or more, and are for models of others and for training."""


@pytest.mark.parametrize(
    "command",
    [
        "solve --hard 1",
        "solve Ann_has_3_eggs.",
        "solve --task micro-python --reward likelihood:micro-python",
        "bench --task micro-python --strategies cot,hgs --problems 1 --out run",
    ],
)
def test_shipped_models_run_without_transformers(command: str, tmp_path: Path) -> None:
    words = [word.replace("_", " ") for word in command.split()]
    found = subprocess.run(
        [sys.executable, "-c", TELL + RUN, *words],
        env=ENVIRONMENT, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    modules = set(found.stderr.split())
    assert "torch" in modules
    assert not SLOW & modules


def test_ctrl_c_during_the_first_imports_is_one_line() -> None:
    code = (
        "import sys\n"
        "class Ctrl:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Ctrl())\n"
        "from stepnav.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
