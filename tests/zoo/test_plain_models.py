"""The models for typed questions, on questions that were written by hand before their generator
was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepnav import build
from stepnav.cli.solve import _default_task
from stepnav.core.records import Problem
from stepnav.run.driver import Driver
from stepnav.run.search import Search
from stepnav.zoo import MODELS_FOLDER

pytestmark = pytest.mark.skipif(
    not (MODELS_FOLDER / "plain-prm").exists(), reason="no models are shipped for plain questions"
)

MAX_BYTES = 12_000_000
MIN_RIGHT = 70
MAX_WRONG_UNWARNED = 7
QUESTIONS = Path(__file__).parent / "plain_questions.jsonl"
FIRST_TRIES = {
    "Mia has 12 coins. She finds 30 coins. How many coins does Mia have now?": "42",
    "What is 2 + 2?": "4",
    "A box holds 6 eggs. How many eggs are in 7 boxes?": "42",
}


def solve(questions: dict[str, str]) -> tuple[dict[str, bool], dict[str, str | None]]:
    """Return whether each answer is right, and why it is doubted, as `stepnav solve TEXT` does."""
    task = build.load_task("plain")
    strategy = build.strategy("hgs").for_budget(None, temperature=task.temperature)
    policy, reward = build.choose_models(task, [strategy], None, None)
    with build.open_models(policy=policy, reward=reward, task=task) as models:
        problems = {f"given/{n}": Problem("given", text) for n, text in enumerate(questions)}
        searches = [Search(name, strategy, p, task.extract) for name, p in problems.items()]
        results = {r.search_id: r for r in Driver(models.by_name).run(searches)}
        right, doubts = {}, {}
        for name, problem in problems.items():
            text = problem.question
            right[text] = results[name].answer == questions[text]
            doubts[text] = build.doubt_of(models.policy, problem, results[name])
    return right, doubts


def test_a_newcomers_first_tries_are_answered() -> None:
    right, doubts = solve(FIRST_TRIES)
    assert right == dict.fromkeys(FIRST_TRIES, True)
    assert doubts == dict.fromkeys(FIRST_TRIES)


def test_most_everyday_questions_are_answered_and_few_wrong_answers_stand_unwarned() -> None:
    rows = [json.loads(line) for line in QUESTIONS.read_text().splitlines()]
    right, doubts = solve({row["question"]: row["answer"] for row in rows})
    wrong = [text for text, is_right in right.items() if not is_right]
    assert len(right) - len(wrong) >= MIN_RIGHT, wrong
    assert sum(doubts[text] is None for text in wrong) <= MAX_WRONG_UNWARNED, wrong


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of Peru?",
        "Find x such that x^3 + 2x = 12.",
        "Who painted the Mona Lisa?",
    ],
)
def test_questions_of_another_kind_are_doubted(text: str) -> None:
    _, doubts = solve({text: ""})
    assert doubts[text] is not None


def test_both_models_are_small() -> None:
    folders = [MODELS_FOLDER / "plain-policy", MODELS_FOLDER / "plain-prm"]
    assert sum(file.stat().st_size for f in folders for file in f.iterdir()) <= MAX_BYTES


@pytest.mark.parametrize(
    ("problem", "policy", "task"),
    [
        (None, None, "arithmetic"),
        ("2 + 2", None, "plain"),
        ("2 + 2", "./mine", "plain"),
        ("2 + 2", "arithmetic", "arithmetic"),
        (None, "micro-python", "micro-python"),
    ],
)
def test_a_typed_question_is_plain_unless_a_shipped_policy_says_otherwise(
    problem: str | None, policy: str | None, task: str
) -> None:
    assert _default_task(problem, policy) == task
