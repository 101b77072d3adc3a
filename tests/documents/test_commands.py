"""Every command in the documents is run, small, or named in `NOT_RUN`; its options exist."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

from stepnav import build
from stepnav.cli.main import app
from tests.documents.commands import NOT_RUN, PROGRAMS, ROOT, Command, all_commands, commands_of
from tests.documents.world import make_world
from tests.policies.openai.fake_server import ALL_HONOURED, FakeOpenAI
from tests.serve.processes import process

COMMANDS = all_commands()
OURS = [command for command in COMMANDS if command.words[0] == "stepnav"]
RUN = [command for command in COMMANDS if command.reason is None]
FIRST = "stepnav bench --out runs/first --problems 100"
"""The run that others report, show and go on with."""

SMALLER = {
    "bench": ("--max-policy-tokens 200", "--problems 1"),
    "calibrate": (),
    "check": ("--problems 3", "--samples 2"),
    "data mutate": ("--workers 1",),
    "data rollouts": ("--problems 2", "--samples 2", "--solutions 2", "--keep-unsolved"),
    "solve": ("--max-policy-tokens 200",),
    "train expert": ("--max-steps 1", "--problems 8", "--rounds 1", "--searches 2"),
    "train orm": ("--max-steps 1", "--problems 2"),
    "train prm": ("--max-steps 1", "--problems 2"),
    "train sft": ("--max-steps 1", "--problems 2"),
}
"""Command -> options that keep it small, in the place of those that the document has."""

INSTEAD = {
    "--task humaneval --samples": "--data HumanEval.jsonl.gz",
    "grade --task mbpp": "--samples mbpp_samples.jsonl",
    "--k 1,10,100": "--k 1,10",
    "data rollouts --task gsm8k": "--shots 0",
}
"""Part of a command -> an option for what the tests lack (the hub, 100 samples, a
model that reads worked examples)."""

SLOW = ("data rollouts", "data mutate", "bench", "train")
"""Commands of which some take more than a few seconds."""

ALONE = ("grade", "data mutate")
"""Commands that are run as processes, which end with their sandboxes."""

FAST = ("runs/first", "runs/two", "--dry-run", "runs/mine --task")


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """Return the parser's command that the words name, and the words behind its name."""
    found: Any = typer.main.get_command(app)
    rest = words[1:]
    while hasattr(found, "commands"):
        found, rest = found.commands[rest[0]], rest[1:]
    return found, rest


def name_of(command: Command) -> str:
    """Return the words that name a command: `bench`, `data mutate`."""
    words = command.words[1:]
    return " ".join(words[: 2 if words[0] in ("data", "train", "zoo") else 1])


def is_slow(command: Command) -> bool:
    """Return whether a command is left to the slow tests."""
    if command.words[0] != "stepnav":
        return False
    name = name_of(command)
    return name.startswith(SLOW) and not any(part in command.text for part in FAST)


def marked(command: Command) -> Any:
    """Return the command as a case of a test."""
    marks = [pytest.mark.slow, pytest.mark.timeout(900)] if is_slow(command) else []
    return pytest.param(command, id=f"{command.document}: {command.text}", marks=marks)


def test_documents_show_commands() -> None:
    assert {command.words[1] for command in OURS} >= {"solve", "bench", "serve", "data", "train"}
    assert len(OURS) > 50
    found = [c.text for c in commands_of(ROOT / "docs/serving.md")]
    assert [text.split(" ")[0] for text in found][:5] == [
        "pip",
        "stepnav",
        "stepnav",
        "curl",
        "curl",
    ]


@pytest.mark.parametrize("command", OURS, ids=lambda c: f"{c.document}: {c.text}")
def test_options_exist(command: Command) -> None:
    found, words = leaf(command.words)
    found.make_context(found.name, words)
    for flag, value in pairwise(words):
        if flag in ("--strategy", "--strategies"):
            for name in value.split(","):
                assert ".py:" in name or build.parse_strategy(name)


def test_options_in_the_text_exist() -> None:
    lost = []
    for document in sorted((ROOT / "docs").glob("*.md")):
        for text in re.findall(r"`(stepnav [a-z][^`]*)`", document.read_text()):
            found: Any = typer.main.get_command(app)
            for word in text.split()[1:]:
                if word in getattr(found, "commands", {}):
                    found = found.commands[word]
            known = {name for param in found.params for name in param.opts}
            lost += [(document.name, text)] * (not set(re.findall(r" (--[a-z-]+)", text)) <= known)
    assert lost == []


def test_extras_that_are_installed_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for command in COMMANDS:
        for extras in re.findall(r"stepnav\[([a-z,]+)\]", command.text):
            for extra in extras.split(","):
                assert f"\n{extra} = [" in project, command


def test_targets_of_make_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    asked = [command.words[1] for command in COMMANDS if command.words[0] == "make"]
    assert asked
    assert set(asked) <= set(targets)


def test_scripts_exist_and_know_their_options() -> None:
    for command in COMMANDS:
        if command.words[0] != "python" or command.words[1] == "-m":
            continue
        text = (ROOT / command.words[1]).read_text()
        assert [w for w in command.words if w.startswith("--") and w not in text] == [], command


def test_what_is_not_run_is_there_and_can_not_be_more() -> None:
    for part in NOT_RUN:
        used = any(part in command.text for command in COMMANDS)
        assert used or part.split()[0] in PROGRAMS, f"nothing in the documents has {part!r}"
    assert len([c for c in OURS if c.reason]) <= len(OURS) / 4


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def model_server() -> Iterator[str]:
    with FakeOpenAI(replace(ALL_HONOURED, model="my-model")) as server:
        yield server.url.removesuffix("/v1")


@pytest.fixture
def here(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(world)
    monkeypatch.syspath_prepend(world)
    return world


def small(command: Command) -> list[str]:
    """Return the command's words with the options that keep it small."""
    words = command.words
    extra = [*SMALLER.get(name_of(command), ())]
    extra += [option for part, option in INSTEAD.items() if part in command.text]
    if {"--budgets", "--max-policy-tokens", "--max-seconds"} & set(words):
        extra = [option for option in extra if "policy-tokens" not in option]
    if {"--ids", "--dry-run"} & set(words) or "mine" in command.text:
        extra = [option for option in extra if "--problems" not in option]
    if (
        name_of(command) == "bench" and "runs/first" in words
    ):  # the problem of index 3 is shown of it
        extra.append("--problems 4")
    for option in extra:
        flag, *value = option.split(" ")
        if flag not in words:
            words += [flag, *value]
        elif value:
            words[words.index(flag) + 1] = value[0]
    return words


def prepare(words: list[str], here: Path) -> list[str]:
    """Return the words with a fresh place for what the command makes."""
    if words[1] == "grade":
        (here / f"{words[words.index('--samples') + 1]}_results.jsonl").unlink(missing_ok=True)
    if "--out" not in words or "--resume" in words:
        return words
    place = words.index("--out") + 1
    if words[place].startswith("./my-"):  # other commands read these
        words[place] += "-new"
    shutil.rmtree(here / words[place], ignore_errors=True)
    return words


def run_ours(command: Command, here: Path, server: str) -> None:
    """Run one of our commands in this process."""
    if (
        "runs/first" in command.text
        and command.text != FIRST
        and not (here / "runs/first").exists()
    ):
        run_ours(Command("", FIRST), here, server)
    words = [word.replace("http://localhost:8000", server) for word in small(command)]
    words = prepare(words, here)[1:]
    if name_of(command) in ALONE:
        done = subprocess.run(
            [sys.executable, "-m", "stepnav", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    else:
        app(words, standalone_mode=False)


@pytest.mark.parametrize(
    "command",
    [
        marked(command)
        for command in RUN
        if command in OURS and name_of(command) != "serve" and "ID" not in command.words
    ],
)
def test_the_command_runs(command: Command, here: Path, model_server: str) -> None:
    pytest.importorskip("accelerate" if "train" in command.words else "torch")
    run_ours(command, here, model_server)


SERVED = [command for command in RUN if command.text.startswith("stepnav serve")]
QUESTION = {"messages": [{"role": "user", "content": "What is 2 + 2?"}]}


@contextlib.contextmanager
def served(command: Command, model_server: str) -> Iterator[str]:
    """Run a command that serves; yield its URL."""
    words = [word.replace("http://localhost:8000", model_server) for word in command.words[2:]]
    with process(*words, PYTHONPATH=os.pathsep.join(filter(None, sys.path))) as (url, _):
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("command", SERVED, ids=lambda command: command.text)
def test_servers_serve_and_show_traces(command: Command, here: Path, model_server: str) -> None:
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("fastapi")
    with served(command, model_server) as url:
        names = [model["id"] for model in httpx.get(f"{url}/v1/models").json()["data"]]
        (model,) = [name for name in names if name.startswith("hgs-")]
        body = {"model": model, **QUESTION}
        reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).json()
    assert reply["stepnav"]["stop_reason"]
    for shown in [c for c in RUN if "--traces" in command.text and "ID" in c.words]:
        trace = reply["stepnav"]["trace"]
        app([trace if word == "ID" else word for word in shown.words[1:]], standalone_mode=False)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_endpoint_answers_curl(here: Path, model_server: str) -> None:
    pytest.importorskip("fastapi")
    asked = [command for command in RUN if command.words[0] == "curl"]
    assert asked
    with served(Command("", "stepnav serve"), model_server) as url:
        for command in asked:
            words = [word.replace("http://127.0.0.1:8080", url) for word in command.words]
            printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            assert "hgs-plain" in printed
            assert '"error"' not in printed
