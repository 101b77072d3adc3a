"""The package as a whole: every module imports, and what the documents say is true."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stepnav
from stepnav import build
from stepnav.cli.run_folder import split_names

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import diagram

ROOT = Path(__file__).resolve().parents[1]
MODULES = [m.name for m in pkgutil.walk_packages(stepnav.__path__, "stepnav.")]
HEAVY = {"torch", "transformers", "numpy", "scipy", "matplotlib", "pyarrow", "httpx", "math_verify"}
HEAVY |= {"asyncio", "ssl"}
GUESTS = {"stepnav.harness.inspect_plugin": "inspect_ai", "stepnav.train.rl.grpo_trainer": "trl"}
"""Modules that only work beside another package, and that package."""


@pytest.mark.parametrize("name", [n for n in MODULES if not n.endswith("__main__")])
def test_every_module_imports(name):
    if name in GUESTS:
        pytest.importorskip(GUESTS[name])
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what lives in it"
    for exported in getattr(module, "__all__", ()):
        assert hasattr(module, exported)


def test_the_command_line_starts_without_heavy_libraries():
    code = "import sys, stepnav.cli.main, stepnav.build; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert not HEAVY & set(result.stdout.split())


@pytest.mark.parametrize("number", [0, 1])
def test_the_readme_examples_print_what_they_say(number):
    readme = (ROOT / "README.md").read_text()
    found = re.findall(r"```python\n(.*?)```\n\nprints `(.*?)`", readme, re.DOTALL)
    assert len(found) == 2
    code, text = found[number]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue().strip() == text


def test_the_examples_of_own_parts_run(tmp_path, monkeypatch):
    pages = "".join((ROOT / f"docs/own-{name}.md").read_text() for name in ("strategy", "data"))
    strategy, contract, task = re.findall(r"```python\n(.*?)```", pages, re.DOTALL)
    functions = "\ndef policy(question, steps):\n    return '#### Lima.'\n"
    functions += "\ndef reward(question, steps):\n    return [1.0] * len(steps)\n"
    (tmp_path / "mine.py").write_text(strategy + task + functions)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(contract, {})
    results = stepnav.bench(
        build.load_task("./mine.py:task"), ["./mine.py:careful:branching=2", "cot"],
        policy="./mine.py:policy", reward="./mine.py:reward",
    )  # fmt: skip
    assert [row.correct for row in results.rows] == [True, True]


def test_the_commands_in_the_readme_exist():
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^    stepnav (\w+)(.*?)(?:#.*)?$", readme, re.MULTILINE)
    assert {name for name, _ in commands} >= {"solve", "bench", "report", "show"}
    declared = "".join(path.read_text() for path in (ROOT / "src/stepnav/cli").rglob("*.py"))
    options = set(re.findall(r"--[a-z-]+", " ".join(rest for _, rest in commands)))
    for option in options:
        assert option.removeprefix("--").replace("-", "_") in declared, option
    for text in re.findall(r"--strategies (\S+)", readme):
        assert [build.parse_strategy(item) for item in split_names(text)]


def test_every_strategy_and_task_is_in_papers():
    papers = (ROOT / "docs/papers.md").read_text()
    for name in build.STRATEGIES:
        assert f"`search/{name}.py`" in papers
    for name, module in build.TASKS.items():
        path = module.removeprefix("stepnav.").replace(".", "/")
        assert name in build.EMBEDDED_TASKS or f"`{path}.py`" in papers


def test_the_diagram_of_the_rooms_is_current():
    document = diagram.DOCUMENT.read_text()
    assert diagram.with_diagram(document) == document, "run python benchmarks/diagram.py"


def test_the_diagram_leaves_out_what_follows_from_other_arrows():
    arrows = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert diagram.reduce(arrows) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_links_in_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name}: {link}"


def test_the_changelog_knows_this_version():
    assert f"## {stepnav.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f'version = "{stepnav.__version__}"' in (ROOT / "pyproject.toml").read_text()


MAX_MODULES = 20
"""Of a folder, besides `__init__.py`."""

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 50
"""Without the docstring: to say more must cost nothing."""

LONG_FILES = {
    "sandbox/codec.py": "both halves of one encoding, each half's table beside the other's",
}


def test_folders_are_small():
    for folder in (ROOT / "src/stepnav").rglob("**/"):
        modules = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
        assert len(modules) <= MAX_MODULES, f"{folder}: divide it where one noun ends"


def test_files_and_functions_are_short():
    files, functions = set(), set()
    for path in (ROOT / "src/stepnav").rglob("*.py"):
        name = path.relative_to(ROOT / "src/stepnav").as_posix()
        text = path.read_text()
        if len(text.splitlines()) > MAX_FILE_LINES:
            files.add(name)
        for node in ast.walk(ast.parse(text)):
            is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            if is_function and _num_lines(node) > MAX_FUNCTION_LINES:
                functions.add(f"{name}:{node.name}")
    assert files == LONG_FILES.keys(), "split them by noun, or take what is short off the list"
    assert not functions, "split them where one idea ends"


def _num_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    docstring = function.body[0]
    return lines - (docstring.end_lineno - docstring.lineno + 1)
