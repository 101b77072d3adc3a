"""Every attack of the table, at both levels, as this user and, where this is root, as `nobody`."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.attacks import ATTACKS, PROGRAMS

ROOT = Path(__file__).parents[2]
NOBODY = 65534
needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
CASES = [
    pytest.param("process", "self", id="process-self"),
    pytest.param("process", "nobody", id="process-nobody"),
    pytest.param("namespace", "self", id="namespace-self", marks=pytest.mark.slow),
    pytest.param("namespace", "nobody", id="namespace-nobody", marks=pytest.mark.slow),
]


def python_for(user: str) -> str:
    """Return an interpreter that the user may run; skips if there is none."""
    if user == "self":
        return sys.executable
    if os.geteuid() != 0:
        pytest.skip("only root can run this as another user; it is an ordinary user already")
    for candidate in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        if candidate and _runs_as_nobody(candidate):
            return candidate
    pytest.skip("nobody can run no Python from 3.11 on here")


def _runs_as_nobody(python: str) -> bool:
    command = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    try:
        done = subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
    except OSError:
        return False
    return done.returncode == 0


@functools.cache
def outcomes(level: str, user: str) -> dict[str, dict[str, Any]]:
    """Return the outcome of every program by name."""
    other: dict[str, Any] = {}
    if user == "nobody":
        other = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    done = subprocess.run(
        [python_for(user), "-B", "-m", "tests.sandbox.attack_run", level],
        env={"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PATH": os.defpath},
        capture_output=True,
        text=True,
        cwd="/",
        **other,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["name"]: line for line in lines}


def test_the_table_is_large_and_its_names_are_unique() -> None:
    assert len(ATTACKS) >= 40
    assert len({attack.name for attack in PROGRAMS}) == len(PROGRAMS)


@needs_linux
@pytest.mark.parametrize(("level", "user"), CASES)
def test_no_attack_passes_and_every_control_does(level: str, user: str) -> None:
    found = outcomes(level, user)
    wrong = {
        attack.name: found[attack.name]
        for attack in PROGRAMS
        if found[attack.name]["status"] not in attack.allowed
    }
    assert not wrong


@needs_linux
@pytest.mark.parametrize(("level", "user"), CASES)
def test_nothing_changes_outside_the_box(level: str, user: str) -> None:
    found = outcomes(level, user)
    assert all(item["untouched"] and not item["made"] for item in found.values())
    assert {item["level"] for item in found.values()} == {level}


@needs_linux
@pytest.mark.slow
def test_the_attacks_are_real() -> None:
    """Without layers, at level "unsafe", many escapes succeed: the table can tell the
    difference."""
    user = "nobody" if os.geteuid() == 0 else "self"  # a real escape must not be made as root
    found = outcomes("unsafe", user)
    escaped = [item for item in ATTACKS if found[item.name]["status"] == "passed"]
    assert {"cheat"}.isdisjoint(
        {attack.kind for attack in escaped}
    )  # the verdict rule holds anyway
    assert len([attack for attack in escaped if attack.kind == "escape"]) >= 15
