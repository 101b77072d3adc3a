"""Prompts with worked examples, to the letter of the field's harness."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from stepnav import build
from stepnav.core.errors import ConfigError
from stepnav.policies.splitting import fill
from stepnav.tasks.worked_examples import with_shots

NO_MODEL = "http://localhost:1/v1"


def prompt(name: str, shots: int | None, question: str, *, chat: bool = False) -> str:
    task, _ = build.choose_shots(build.load_task(name), shots, NO_MODEL, chat=chat)
    return fill((task.chat_template if chat else None) or task.prompt_template, question)


def test_gsm8k_is_shown_as_lm_eval_shows_it() -> None:
    shown = prompt("gsm8k", 2, "What is 1 + 1?")
    assert shown.startswith(
        "Question: Natalia sold clips to 48 of her friends in April, and then she sold half as "
        "many "
        "clips in May. How many clips did Natalia sell altogether in April and May?\nAnswer: "
        "Natalia "
        "sold 48/2 = <<48/2=24>>24 clips in May.\n"
    )
    assert "\n#### 72\n\nQuestion: Weng earns $12 an hour" in shown
    assert shown.endswith("\n#### 10\n\nQuestion: What is 1 + 1?\nAnswer:")
    assert prompt("svamp", 2, "What is 1 + 1?") == shown


def test_math_is_shown_as_minerva_shows_it() -> None:
    shown = prompt("math500", None, "Find $x$.")
    assert shown.startswith("Problem:\nFind the domain of the expression  $\\frac{\\sqrt{x-2}}")
    assert shown.count("I hope it is correct.\n\nProblem:\n") == 4
    assert "\n\nSolution: The expressions inside" in shown
    assert shown.endswith("I hope it is correct.\n\nProblem:\nFind $x$.\n\nSolution:")


def test_mbpp_is_shown_as_its_paper_shows_it(tmp_path: Path) -> None:
    row = {
        "text": "Write a function to double.",
        "code": "def double(x): return 2 * x",
        "task_id": 11,
        "test_setup_code": "",
        "test_list": ["assert double(2) == 4", "assert double(3) == 6"],
        "challenge_test_list": [],
    }
    path = tmp_path / "mbpp.jsonl"
    path.write_text(json.dumps(row))
    (problem,) = build.load_task("mbpp").load("test", None, 0, path)
    shown = prompt("mbpp", None, problem.question)
    assert shown.startswith(
        "You are an expert Python programmer, and here is your task: Write a function to find the "
        "similar elements from the given two tuple lists.\n"
        "assert similar_elements((3, 4, 5, 6),(5, 7, 4, 10)) == (4, 5)\n"
    )
    assert shown.count("\n[DONE]\n\nYou are an expert") == 3
    assert shown.endswith(
        "task: Write a function to double.\nassert double(2) == 4\nassert double(3) == 6\n[BEGIN]\n"
    )


@pytest.mark.parametrize(
    ("name", "shots"),
    [("gsm8k", 5), ("svamp", 5), ("math500", 4), ("mbpp", 3), ("humaneval", 0), ("arithmetic", 0)],
)
def test_defaults_are_the_fields(name: str, shots: int) -> None:
    task = build.load_task(name)
    assert build.choose_shots(task, None, NO_MODEL, chat=False)[1] == shots
    assert build.choose_shots(task, None, NO_MODEL, chat=True) == (task, 0)
    assert with_shots(task, 0) is task


def test_a_chat_sees_them_before_its_own_wording() -> None:
    shown = prompt("gsm8k", 1, "What is 1 + 1?", chat=True)
    assert shown.startswith("Question: Natalia sold clips")
    assert "#### 72\n\nSolve the problem step by step." in shown


@pytest.mark.parametrize("name", ["arithmetic", "micro-python"])
def test_embedded_tasks_show_their_training_split(name: str) -> None:
    task = build.load_task(name)
    problems = task.load("train", 2, 0, None)
    shown = prompt(name, 2, "the question")
    assert all(problem.question in shown for problem in problems)
    assert shown.endswith("\n\nthe question\n")


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"gsm8k has 8 worked examples \(got --shots 9\)"):
        prompt("gsm8k", 9, "")
    with pytest.raises(ConfigError, match="humaneval has 0 worked examples"):
        prompt("humaneval", 1, "")


def test_a_model_with_a_format_of_its_own_is_shown_none(tmp_path: Path) -> None:
    (tmp_path / "stepnav_policy.json").write_text("{}")
    task = build.load_task("gsm8k")
    assert build.choose_shots(task, None, str(tmp_path), chat=False) == (task, 0)
    with pytest.raises(ConfigError, match="has a prompt format of its own"):
        build.choose_shots(task, 5, str(tmp_path), chat=False)
    for policy in ("arithmetic", "vllm:plain"):
        assert build.choose_shots(task, None, policy, chat=False) == (task, 0)
        with pytest.raises(ConfigError, match=r"prompt format of its own .*; leave --chat out"):
            build.choose_shots(task, None, policy, chat=True)
    with pytest.raises(ConfigError, match=r"prompt format of its own .*; leave --chat out"):
        build.policy_format(tmp_path, task, chat=True)


@pytest.mark.realdata
def test_examples_are_rows_of_training_splits(data_folder: Path) -> None:
    def rows(name: str) -> list[dict[str, object]]:
        with gzip.open(data_folder / name, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    gsm8k = [(row["question"], f" {row['answer']}") for row in rows("gsm8k/train.jsonl.gz")]
    task = build.load_task("gsm8k")
    assert task.examples is not None
    assert task.examples(99) == gsm8k[:8]
    problems = {
        "".join(str(row["problem"]).split())
        for row in rows("math/train12k.jsonl.gz")
        if row["orig_split"] == "train"
    }
    task = build.load_task("math500")
    assert task.examples is not None
    assert all("".join(question.split()) in problems for question, _ in task.examples(9))
