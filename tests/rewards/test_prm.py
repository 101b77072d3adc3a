"""Reward models over the engine: scores, costs, batches and errors."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stepnav.core.errors import BackendError, ConfigError
from stepnav.core.records import Problem, Step, StepScore, Trajectory
from stepnav.core.requests import Propose, Score
from stepnav.rewards.families.prm import PRM
from stepnav.rewards.likelihood import LIKELIHOOD, Likelihood
from stepnav.rewards.local.reward import LocalReward
from stepnav.rewards.local.step_format import StepFormat
from tests.engine.small_models import causal_model, class_model, poll_all, prefix, tokenizer
from tests.rewards.public_models import mistral_tokenizer

STEPS = ("3 + 4 = 7.\n", "He has 7 apples.\n", "Ann sold 12 eggs.\n", "12 * 2 = 24.\n", "#### 24")


def prm(**options: Any) -> LocalReward:
    return LocalReward.open(
        PRM, options.pop("model", None) or class_model(), tokenizer(), **options
    )


def likelihood(**options: Any) -> LocalReward:
    return LocalReward.open(LIKELIHOOD, causal_model(), tokenizer(), **options)


REWARDS = [prm, likelihood]


def score(backend: Any, *trajectories: Trajectory) -> list[Any]:
    for ticket, trajectory in enumerate(trajectories):
        backend.submit(ticket, Score(trajectory))
    answers = poll_all(backend, len(trajectories))
    return [answers[ticket] for ticket in range(len(trajectories))]


def some_trajectories() -> list[Trajectory]:
    rng = random.Random(0)
    found = []
    for index in range(6):
        for depth in range(1, 6):
            steps = [rng.choice(STEPS) for _ in range(depth)]
            found.append(prefix(index, *STEPS[: depth - 1], steps[-1]))
            found.append(prefix(index, *steps))
    return found


def test_class_scores_equal_a_plain_forward_pass() -> None:
    plain = class_model()
    trajectories = some_trajectories()
    answers = score(prm(), *trajectories)
    for trajectory, answer in zip(trajectories, answers):
        texts = [step.text for step in trajectory.steps]
        ids, ends = StepFormat().encode(tokenizer(), trajectory.problem.question, texts)
        with torch.inference_mode():
            expected = plain(input_ids=torch.tensor([ids])).logits[0, ends].softmax(-1)
        found = [[s.negative_prob, s.neutral_prob, s.positive_prob] for s in answer.items]
        torch.testing.assert_close(torch.tensor(found), expected, atol=1e-5, rtol=1e-4)
        assert answer.prefix_tokens == (
            len(StepFormat().encode_prompt(tokenizer(), trajectory.problem.question)),
            *(end + 1 for end in ends),
        )


def test_likelihood_is_the_lowest_token_probability() -> None:
    plain = causal_model()
    trajectories = some_trajectories()
    answers = score(likelihood(), *trajectories)
    for trajectory, answer in zip(trajectories, answers):
        texts = [step.text for step in trajectory.steps]
        ids, ends = StepFormat().encode(tokenizer(), trajectory.problem.question, texts)
        start = len(StepFormat().encode_prompt(tokenizer(), trajectory.problem.question))
        with torch.inference_mode():
            log_probs = plain(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        for end, found in zip(ends, answer.items):
            lowest = min(float(log_probs[at - 1, ids[at]]) for at in range(start, end + 1))
            likely = math.exp(lowest)
            assert found.positive_prob == pytest.approx(likely / (likely + 0.02), abs=1e-5)
            assert found.neutral_prob == 0
            start = end + 1


@pytest.mark.parametrize(("add_bos", "fewer"), [(True, 0), (False, 1), (None, 1)])
def test_likelihood_puts_the_bos_where_the_policys_format_does(
    add_bos: bool | None, fewer: int
) -> None:
    """The tokenizer has one and by itself puts none."""
    (answer,) = score(likelihood(format=Likelihood(add_bos=add_bos)), prefix(0, *STEPS))
    (usual,) = score(likelihood(), prefix(0, *STEPS))
    assert usual.prefix_tokens[0] - answer.prefix_tokens[0] == fewer


def test_two_labels_leave_neutral_at_zero() -> None:
    model = class_model(num_labels=2)
    (answer,) = score(prm(model=model, format=StepFormat(labels=(-1, 1))), prefix(0, *STEPS))
    (turned,) = score(
        prm(model=class_model(num_labels=2), format=StepFormat(labels=(1, -1))), prefix(0, *STEPS)
    )
    for one, other in zip(answer.items, turned.items):
        assert one.neutral_prob == 0
        assert one.positive_prob == other.negative_prob


def test_labels_must_fit_the_model() -> None:
    with pytest.raises(ConfigError, match="3 output classes"):
        prm(format=StepFormat(labels=(-1, 1)))


@pytest.mark.parametrize("make", REWARDS)
def test_a_new_step_costs_its_own_tokens(make: Any) -> None:
    backend = make()
    fed: list[int] = []
    model = backend.runner._network.model
    model.get_input_embeddings().register_forward_hook(
        lambda _module, args, _out: fed.append(int((args[0] != 0).sum()))
    )
    for depth in range(1, 6):
        read = backend.runner.num_read_tokens
        (answer,) = score(backend, prefix(1, *STEPS[:depth]))
        totals = answer.prefix_tokens
        new = totals[-1] - (totals[-2] if depth > 1 else 0)
        assert answer.usage.reward_tokens == new
        assert answer.usage.reward_cached_tokens == totals[-1] - new
        assert answer.usage.reward_calls == 1
        assert answer.usage.flops == 2 * backend.num_parameters * new
        assert backend.runner.num_read_tokens - read == new
    assert sum(fed) == totals[-1] - 1  # the BOS token is number 0
    (again,) = score(backend, prefix(1, *STEPS))
    assert again.usage.reward_tokens == 0
    assert again.items == answer.items


@pytest.mark.parametrize("make", REWARDS)
def test_scores_do_not_depend_on_the_batch_or_on_evictions(make: Any) -> None:
    trajectories = some_trajectories()
    whole = [answer.items for answer in score(make(), *trajectories)]
    for options in ({"max_batch": 16}, {"max_batch": 1}, {"cache_tokens": 50}, {"pass_tokens": 16}):
        backend = make(**options)
        assert [answer.items for answer in score(backend, *trajectories)] == whole
        assert backend.runner.num_running == backend.runner.num_waiting == 0
    backend = make()
    alone = [score(backend, trajectory)[0].items for trajectory in reversed(trajectories)]
    assert alone[::-1] == whole


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.sampled_from(STEPS), min_size=1, max_size=4), min_size=1, max_size=6))
def test_a_batch_gives_what_one_by_one_gives(paths: list[list[str]]) -> None:
    trajectories = [prefix(0, *path) for path in paths]
    together = [answer.items for answer in score(prm(), *trajectories)]
    alone = prm()
    assert [score(alone, trajectory)[0].items for trajectory in trajectories] == together


def test_small_batches_are_put_off_while_others_wait() -> None:
    backend = prm()
    backend.submit(0, Score(prefix(0, *STEPS)))
    assert backend.poll(0) == []
    assert backend.runner.num_passes == 0
    backend.submit(1, Score(prefix(1, *STEPS)))
    assert len(backend.poll(0.1)) == 2
    assert backend.runner.num_passes == 1
    backend.submit(2, Score(prefix(2, *STEPS)))
    assert sum(len(backend.poll(0)) for _ in range(4)) == 1


@pytest.mark.parametrize("make", REWARDS)
def test_cancelled_requests_leave_nothing_behind(make: Any) -> None:
    backend = make(max_batch=2, pass_tokens=8)
    for ticket in range(6):
        backend.submit(ticket, Score(prefix(ticket, *STEPS)))
    backend.submit(6, Score(prefix(0, *STEPS)))
    backend.poll(0.0)
    for ticket in (0, 3, 99):
        backend.cancel(ticket)
    assert set(poll_all(backend, 5)) == {1, 2, 4, 5, 6}
    assert backend.runner.num_running == backend.runner.num_waiting == 0
    backend.close()


def test_odd_requests() -> None:
    backend = prm()
    (empty,) = score(backend, prefix(0))
    assert empty.items == ()
    (long,) = score(backend, prefix(0, "word " * 600))
    assert isinstance(long, BackendError)
    assert backend.token_bound(Score(prefix(1, *STEPS))) > 30
    with pytest.raises(TypeError):
        backend.submit(5, Propose(prefix(0)))
    (only,) = score(backend, Trajectory(prefix(0).problem, (Step("", finish="end"),)))
    assert isinstance(only.items[0], StepScore)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prm")
    class_model().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    StepFormat().save(folder)
    return folder


def test_a_saved_model_scores_as_the_loaded_one(saved: Path) -> None:
    trajectories = some_trajectories()[:4]
    from_folder = score(LocalReward.open(PRM, saved, device="cpu"), *trajectories)
    assert [a.items for a in from_folder] == [a.items for a in score(prm(), *trajectories)]


def test_a_folder_without_its_format_is_refused(saved: Path, tmp_path: Path) -> None:
    for file in saved.iterdir():
        if file.name != "stepnav_prm.json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ConfigError, match=r"stepnav_prm\.json"):
        LocalReward.open(PRM, tmp_path)


def test_likelihood_does_not_judge_a_separator_that_was_never_written() -> None:
    """The step that ends a solution has none; appending one would make it look unlikely."""
    problem = Problem("p", "How many?")
    ended = Trajectory(problem, (Step("one\n"), Step("#### 1", "end")))
    going_on = Trajectory(problem, (Step("one\n"), Step("#### 1")))
    first, second = score(likelihood(), ended, going_on)
    assert first.prefix_tokens is not None
    assert second.prefix_tokens is not None
    assert first.prefix_tokens[:-1] == second.prefix_tokens[:-1]
    assert second.prefix_tokens[-1] - first.prefix_tokens[-1] == 1
    assert first.items[-1].positive_prob >= second.items[-1].positive_prob


def test_likelihood_of_an_empty_last_step() -> None:
    backend = LocalReward.open(LIKELIHOOD, causal_model(), tokenizer())
    problem = prefix(0).problem
    for steps in (("3 + 4 = 7.\n", ""), ("",)):
        *before, last = steps
        ended = Trajectory(problem, (*map(Step, before), Step(last, "end")))
        open_ended = Trajectory(problem, tuple(map(Step, steps)))
        answers = score(backend, ended, ended, open_ended)
        assert answers[0].items == answers[1].items == answers[2].items
        assert len(answers[0].items) == len(steps)


def test_an_overflow_spoils_no_later_trajectory() -> None:
    model = class_model(num_labels=2).half()
    (bad,) = tokenizer().encode("@", add_special_tokens=False)
    with torch.no_grad():
        model.model.embed_tokens.weight[bad] = 65504
        model.model.layers[0].mlp.down_proj.weight.mul_(1000)
    backend = prm(model=model, format=StepFormat(labels=(-1, 1)))
    clean = [prefix(index, "3 + 4 = 7.") for index in range(3)]
    (before, *_) = score(backend, clean[0])
    (poison,) = score(backend, Trajectory(Problem("p", "Q?"), (Step("@ two " * 30),)))
    assert isinstance(poison, BackendError)
    backend.runner.tree.clear()
    again, *others = score(backend, *clean)
    assert again.items == before.items
    assert not any(isinstance(answer, BackendError) for answer in others)


def test_likelihood_of_a_model_that_overflows_is_an_error_that_names_the_step() -> None:
    model = causal_model()
    trajectory = max(some_trajectories(), key=lambda t: len(t.steps))
    with torch.no_grad():
        for parameter in model.get_output_embeddings().parameters():
            parameter.fill_(float("nan"))
    backend = LocalReward.open(LIKELIHOOD, model, tokenizer())
    backend.submit(0, Score(trajectory))
    error = poll_all(backend, 1)[0]
    assert isinstance(error, BackendError) and "step 1 is not a number" in str(error)


@pytest.mark.parametrize("finish", ["step", "end"])
def test_a_likelihood_reads_the_tokens_that_a_policy_writes(finish: Any) -> None:
    """Tokenizers as Llama 2's put a blank before each text that is tokenised alone."""
    words = mistral_tokenizer()
    steps = (Step("3 + 4 = 7.\n"), Step("    x = 7\n" if finish == "step" else "So 7", finish))
    asked = Trajectory(Problem("p", "Tom has 3."), steps)
    reader = LIKELIHOOD.reader(None, words, Likelihood(add_bos=False))
    tokens, totals = reader._encoder.encode(asked)
    assert tokens == words.encode("Tom has 3.\n" + asked.text, add_special_tokens=False)
    assert words.decode(tokens[: totals[1]]) == "Tom has 3.\n3 + 4 = 7.\n"
