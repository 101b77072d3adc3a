"""What a policy knows: the likelihood of questions, and when an answer is doubted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stepnav import build
from stepnav.core.errors import ConfigError
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Finish, Problem, Step, Trajectory
from stepnav.core.requests import Propose
from stepnav.policies.local import LocalPolicy
from stepnav.policies.local.known import FILE_NAME, Known
from stepnav.policies.scripted import ScriptedPolicy
from stepnav.rewards.scripted import ScriptedReward
from stepnav.run.driver import Driver
from stepnav.run.search import Search
from tests.engine.small_models import causal_model, poll_all, prefix, tokenizer
from tests.policies.tiny_model import save_tiny_model

QUESTIONS = ("What is 2 + 2?", "What is 2 + 3?", "7")


def expected_logprob(question: str) -> float:
    """Return the likelihood per character by a plain forward pass."""
    tokens = [0, *tokenizer().encode(f"{question}\n", add_special_tokens=False)]
    with torch.inference_mode():
        log_probs = causal_model()(input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
    total = sum(float(log_probs[at, token]) for at, token in enumerate(tokens[1:]))
    return total / len(question)


def test_a_questions_likelihood_is_that_of_a_plain_pass() -> None:
    policy = LocalPolicy(causal_model(), tokenizer())
    for question in (*QUESTIONS, *QUESTIONS):  # the second time from the prefix tree
        found = policy.question_logprob(Problem("given", question))
        assert found == pytest.approx(expected_logprob(question), abs=1e-3)


def test_it_is_the_same_after_a_search_and_changes_no_draw() -> None:
    trajectory = prefix(0, "3 + 4 = 7.\n")
    alone = LocalPolicy(causal_model(), tokenizer(), max_step_tokens=20)
    alone.submit(0, Propose(trajectory, n=2, seed=1))
    expected = poll_all(alone, 1)[0].items
    asked = LocalPolicy(causal_model(), tokenizer(), max_step_tokens=20)
    before = asked.question_logprob(trajectory.problem)
    asked.submit(0, Propose(trajectory, n=2, seed=1))
    assert poll_all(asked, 1)[0].items == expected
    assert asked.question_logprob(trajectory.problem) == pytest.approx(before, abs=1e-5)


def search(ratings: dict[str, int], *, branching: int = 2) -> SearchResult:
    policy = ScriptedPolicy.from_table({"": ["1 + 1 = 2\n"], "1 + 1 = 2\n": ["#### 2"]})
    reward = ScriptedReward.from_table(ratings)

    problem = Problem("given", "What is 1 + 1?")
    strategy = build.strategy("hgs")(branching=branching)
    (result,) = Driver({"policy": policy, "reward": reward}).run(
        [Search("one", strategy, problem, str.strip)]
    )
    return result


def found(logprob: float, finish: Finish = "end") -> SearchResult:
    """Return a result whose least likely step has this log-probability."""
    steps = (Step("1 + 1 = 2\n", logprob=-0.1), Step("#### 2", finish, logprob=logprob))
    result = search({})
    outcome = replace(result.outcome, trajectory=Trajectory(Problem("given", "1 + 1"), steps))
    return replace(result, outcome=outcome)


def test_a_familiar_question_with_likely_steps_is_not_doubted() -> None:
    assert Known(-1.0, -0.7).doubt(-0.5, found(-0.7)) is None


def test_a_strange_question_is_doubted() -> None:
    assert "unlike" in (Known(-1.0, -0.7).doubt(-1.5, found(-0.1)) or "")


def test_an_unlikely_step_is_doubted() -> None:
    assert "not sure" in (Known(-1.0, -0.7).doubt(-0.5, found(-0.8)) or "")


def test_a_solution_that_breaks_off_is_doubted() -> None:
    assert "no whole" in (Known(-1.0, -0.7).doubt(-0.5, found(-0.1, "length")) or "")


def test_the_line_is_kept_beside_the_weights(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path)
    problem, result = Problem("given", "1 + 1"), search({})
    assert LocalPolicy(folder, device="cpu").doubt(problem, result) is None
    Known(0.0, 0.0).save(folder)
    assert "unlike" in (LocalPolicy(folder, device="cpu").doubt(problem, result) or "")


@pytest.mark.parametrize("text", ["{", "[1]", '{"min_step_logprob": "high"}', '{"other": 1}', "{}"])
def test_a_broken_file_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(ConfigError, match="is broken"):
        Known.load(tmp_path)
