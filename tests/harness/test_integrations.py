"""The examples of docs/integrations.md against a running server, where their packages are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.serve.processes import process

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

TEXT = (Path(__file__).resolve().parents[2] / "docs/integrations.md").read_text()
EXAMPLES = re.findall(r"^## (.+?)\n|```python\n(.*?)```", TEXT, re.MULTILINE | re.DOTALL)


def examples() -> list[object]:
    """Return the Python blocks with the headings they stand under."""
    found, heading = [], ""
    for title, code in EXAMPLES:
        heading = title or heading
        if code:
            found.append(pytest.param(code, id=f"{heading}-{len(found)}"))
    return found


@pytest.fixture(scope="module")
def url():
    with process() as (url, _):
        yield url


@pytest.mark.parametrize("code", examples())
def test_the_examples_run(code: str, url: str, tmp_path: Path) -> None:
    for name in re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [sys.executable, "-c", code.replace("http://127.0.0.1:8080", url)],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"4|column|correct", done.stdout), done.stdout
