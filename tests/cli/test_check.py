"""`stepnav check`: what fits, what does not, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from tests.cli.test_server import call

WORLD = """
import random
from stepnav.core.seeds import derive_seed
from stepnav.policies.scripted import ScriptedPolicy

def step(prefix, seed, temperature):
    if not prefix.steps:
        return ("perhaps" if derive_seed(seed) % 2 else "surely") + " it is\\n"
    right = "surely" in prefix.text
    return f"#### {prefix.problem.answer}" if right else "#### -1"

def endless(prefix, seed, temperature):
    return "and so on " * 2000

fits = ScriptedPolicy(step)
never_ends_a_step = ScriptedPolicy(endless, max_tokens=30)
one_step = ScriptedPolicy(lambda prefix, seed, t: f"#### {prefix.problem.answer}")
no_answers = ScriptedPolicy(lambda prefix, seed, t: "who knows" if prefix.steps else "well\\n")
always_right = ScriptedPolicy(
    lambda prefix, seed, t: f"#### {prefix.problem.answer}" if prefix.steps else "so\\n"
)
other_alone = ScriptedPolicy(
    lambda prefix, seed, t: f"{seed}\\n" if not prefix.steps else f"#### {prefix.problem.answer}"
)
draw = random.Random(5).random

def good(question, steps):
    return [0.9 if "surely" in steps[0] else 0.2 for _ in steps]

def noise(question, steps):
    return [draw() for _ in steps]

def broken(question, steps):
    raise ValueError("no such step")
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("world") / "world.py"
    path.write_text(WORLD)
    return path


def check(world: Path, policy: str, reward: str, *more: str) -> tuple[int, dict[str, Any]]:
    status, out, err = call(
        "check", "--policy", f"{world}:{policy}", "--reward", f"{world}:{reward}",
        "--problems", "30", "--json", "--quiet", *more,
    )  # fmt: skip
    assert status in (0, 1), err
    return status, json.loads(out)


def said(page: dict[str, Any], about: str) -> list[tuple[bool | None, str]]:
    return [(f["fits"], f["text"]) for f in page["findings"] if f["about"] == about]


def test_what_fits(world: Path) -> None:
    status, page = check(world, "fits", "good")
    assert (status, page["fits"]) == (0, True)
    assert "AUROC 1.00" in said(page, "reward")[0][1]
    ((fits, gain),) = said(page, "gain")
    assert fits is None
    assert "any of 4 in" in gain
    ((_, cost),) = said(page, "cost")
    assert "300 problems with hgs" in cost


@pytest.mark.parametrize(
    ("policy", "reward", "about", "says"),
    [
        ("fits", "noise", "reward", "not better than chance: AUROC"),
        ("fits", "broken", "reward", "120 of 120 solutions were not scored"),
        ("never_ends_a_step", "good", "steps", "does not end its steps: 30 of 30"),
        ("one_step", "good", "steps", "nothing to search"),
        ("no_answers", "good", "answers", "found in 0 of 120"),
        ("other_alone", "good", "prompt", "asked something else than in one go"),
    ],
)
def test_what_does_not_fit(world: Path, policy: str, reward: str, about: str, says: str) -> None:
    status, page = check(world, policy, reward)
    assert (status, page["fits"]) == (1, False)
    assert any(fits is False and says in text for fits, text in said(page, about)), page


def test_what_cannot_be_told_is_not_held_against_it(world: Path) -> None:
    status, page = check(world, "always_right", "good")
    assert (status, page["fits"]) == (0, True)
    assert said(page, "reward")[0][0] is None
    assert "cannot be told" in said(page, "reward")[0][1]


def test_the_page_of_the_shipped_models() -> None:
    status, out, err = call("check", "--problems", "12", "--samples", "3")
    assert status == 0, err
    lines = out.splitlines()
    assert lines[-1] == "nothing speaks against a run"
    assert [line.split()[0] for line in lines[:-2]] == [
        "policy", "steps", "prompt", "ends", "answers", "reward", "gain", "cost",
    ]  # fmt: skip


def test_a_page_that_says_no_names_it(world: Path) -> None:
    status, out, _ = call(
        "check", "--policy", f"{world}:one_step", "--reward", f"{world}:good", "--problems", "4"
    )
    assert status == 1
    assert out.splitlines()[-1] == "does not fit: steps"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--problems", "1"), "greater than or equal to 2"),
        (("--strategy", "hsg"), "did you mean 'hgs'"),
        (("--task", "nowhere"), "nowhere"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], says: str) -> None:
    status, _, err = call("check", *arguments)
    assert (status, err.count("\n")) == (2, 1)
    assert says in err


def test_a_shipped_policy_fits_rows_too(tmp_path: Path) -> None:
    rows = [
        {"question": problem.question, "answer": problem.answer}
        for problem in build.load_task("arithmetic").load("dev", 12, 0, None)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("--task", str(path), "--policy", "arithmetic", "--reward", "arithmetic")
    status, out, err = call("check", *words, "--samples", "2", "--json", "--quiet")
    assert status == 0, err
    found = said(json.loads(out), "answers")[0][1]
    assert "found in 24 of 24 finished solutions" in found
    assert int(found.rpartition("; ")[2].split()[0]) > 3  # 7; with another task's prompt 1
