"""The engine on CUDA as far as a machine without a GPU can tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from stepnav.core.records import StepScore
from stepnav.core.requests import Complete, Propose, Sampling, Score
from stepnav.engine import attention
from stepnav.engine.attention import Group, Plan, attend
from stepnav.engine.graphs import PassGraphs
from stepnav.engine.llama import Llama, LlamaConfig
from stepnav.policies.local import LocalPolicy
from stepnav.rewards.families.prm import PRM
from stepnav.rewards.likelihood import LIKELIHOOD
from stepnav.rewards.local import step_reader
from stepnav.rewards.local.reward import LocalReward
from stepnav.rewards.local.step_format import StepFormat
from tests.engine.fake_cuda import Waits, fake_cuda, register_guard
from tests.engine.small_models import causal_model, poll_all, prefix, tokenizer


@pytest.fixture(scope="module")
def _guard(tmp_path_factory: pytest.TempPathFactory) -> None:
    register_guard(tmp_path_factory.mktemp("guard"))


@pytest.fixture
def waits(_guard: None) -> Iterator[Waits]:
    with fake_cuda() as found:
        yield found


def small_llama(device: str, *, labels: int = 0, dtype: Any = torch.float32) -> Llama:
    """Return a random Llama of ours."""
    names = {at: str(at) for at in range(labels)}
    config = LlamaConfig(
        len(tokenizer()), 32, 64, 2, 4, 2, 8, 512, 1e-5, 1e4, False, True, 1, names
    )
    torch.manual_seed(0)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = Llama(config)
    finally:
        torch.set_default_dtype(usual)
    # made on the CPU, whatever is said
    model.model.frequencies = model.model.frequencies.float().to(device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
    return model.requires_grad_(False).eval()


def test_steps_are_proposed_on_cuda(waits: Waits) -> None:
    policy = LocalPolicy(small_llama("cuda"), tokenizer(), max_batch=8)
    waits.names.clear()
    for number in range(12):
        sampling = Sampling(1.0, max_tokens=4 + number % 5)
        policy.submit(number, Propose(prefix(number), 2, sampling=sampling, seed=number))
    answers = poll_all(policy, 12)
    assert all(len(answer.items) == 2 for answer in answers.values())
    # the tokens and their log-probabilities of all rows at once, for passes and for known outputs
    assert set(waits.names) == {"tolist"}
    assert len(waits.names) <= 2 * 2 * policy.runner.num_passes
    assert policy.runner._network.model.graphs.num_replays > 4


@pytest.mark.parametrize("top_p", [0.9, 1.0])
def test_what_is_left_is_drawn_on_cuda(waits: Waits, top_p: float) -> None:
    policy = LocalPolicy(small_llama("cuda"), tokenizer(), max_batch=8)
    waits.names.clear()
    for number in range(8):
        sampling = Sampling(1.0, top_p=top_p, max_tokens=4, without=())
        request: Any = Propose(prefix(number), 3, sampling=sampling, seed=number)
        policy.submit(number, request)
    poll_all(policy, 8)
    assert set(waits.names) == {"tolist"}
    # five columns of all rows at once, for passes and for known outputs
    assert len(waits.names) <= 2 * 5 * policy.runner.num_passes


def test_a_question_is_read_on_cuda_by_one_transfer(waits: Waits) -> None:
    policy = LocalPolicy(small_llama("cuda"), tokenizer(), max_batch=8)
    waits.names.clear()
    policy.question_logprob(prefix(3).problem)
    assert waits.names == ["tolist"]


def test_a_model_of_transformers_runs_on_cuda(
    monkeypatch: pytest.MonkeyPatch, waits: Waits
) -> None:
    usual = torch.inference_mode  # in it some operations of transformers lose fake tensors
    monkeypatch.setattr(
        torch, "inference_mode", lambda *mode: usual(*mode) if mode else torch.no_grad()
    )
    with torch.device("cuda"):
        model = causal_model("qwen2")
    policy = LocalPolicy(model, tokenizer(), max_batch=8)
    waits.names.clear()
    for number in range(4):
        policy.submit(number, Complete(prefix(number), 2, sampling=Sampling(0.7, max_tokens=6)))
    poll_all(policy, 4)
    assert set(waits.names) == {"tolist"}


@pytest.mark.parametrize("labels", [3, 1])
def test_steps_are_scored_on_cuda(
    monkeypatch: pytest.MonkeyPatch, waits: Waits, labels: int
) -> None:
    scored = StepScore(0.0, 0.0, 1.0)  # what is read of fake numbers makes none
    monkeypatch.setattr(step_reader, "step_scores", lambda found: (scored,) * len(found))
    model = small_llama("cuda", labels=labels)
    format_ = StepFormat(labels=(-1, 0, 1) if labels == 3 else ())
    reward = LocalReward.open(PRM, model, tokenizer(), format=format_)
    waits.names.clear()
    for number in range(6):
        reward.submit(number, Score(prefix(number, "3 + 4 = 7\n", "He has 7.\n")))
    poll_all(reward, 6)
    assert waits.names == ["to cuda to cpu"] * reward.runner.num_passes


def test_likelihoods_are_read_on_cuda_pass_by_pass(waits: Waits) -> None:
    reward = LocalReward.open(LIKELIHOOD, small_llama("cuda"), tokenizer())
    waits.names.clear()
    for number in range(6):
        reward.submit(number, Score(prefix(number, "3 + 4 = 7\n", "He has 7.\n")))
    poll_all(reward, 6)
    assert len(waits.names) <= 4 * reward.runner.num_passes


def test_graphs_give_what_passes_give() -> None:
    found = []
    for graphs in (False, True):
        model = small_llama("cpu")
        policy = LocalPolicy(model, tokenizer(), max_batch=8, graphs=graphs)
        for number in range(20):
            sampling = Sampling(1.0, max_tokens=4 + number)
            policy.submit(number, Propose(prefix(number), 2, sampling=sampling, seed=number))
        found.append({ticket: answer.items for ticket, answer in poll_all(policy, 20).items()})
    assert model.graphs is not None
    assert model.graphs.num_replays > 20
    assert found[0] == found[1]


def test_a_graph_that_cannot_be_recorded_is_gone_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(PassGraphs, "_recorded", refuse)
    policy = LocalPolicy(small_llama("cpu"), tokenizer(), max_batch=8, graphs=True)
    policy.submit(0, Propose(prefix(), 4, sampling=Sampling(1.0, max_tokens=20)))
    assert len(poll_all(policy, 1)[0].items) == 4
    assert "CUDA graphs cannot be used (RuntimeError: 'operation not permitted" in caplog.text


@pytest.mark.parametrize("window", [None, 24])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (9, 3)])
def test_torchs_own_attention_gives_what_ours_gives(
    monkeypatch: pytest.MonkeyPatch, heads: int, kv_heads: int, window: int | None
) -> None:
    torch.manual_seed(0)
    keys, values = torch.randn(2, 7, kv_heads, 64, 16)
    positions = torch.tensor([[5, 6, 7], [40, 41, 42]])
    groups = [
        Group(slice(0, 3), slice(0, 3), torch.tensor([[3], [30], [63]]), 64),
        Group(torch.tensor([3, 5]), torch.arange(3, 9), positions, 48),
    ]
    queries = torch.randn(9, heads, 16)
    found = []
    for is_ours in (True, False):
        monkeypatch.setattr(attention, "is_fused", lambda *_, ours=is_ours: not ours)
        plan = Plan([replace(group, masks={}) for group in groups], None, None)
        found.append(attend(plan, queries, keys, values, scale=0.25, window=window))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)
