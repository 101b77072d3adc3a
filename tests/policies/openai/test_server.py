"""The policy against a real server process: `transformers serve`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

import stepnav
from stepnav.core.backend import Answer
from stepnav.core.errors import BackendError
from stepnav.core.records import Problem, Trajectory
from stepnav.core.requests import Complete, Propose, Request, Sampling
from stepnav.policies.openai.backend import OpenAIPolicy
from stepnav.policies.splitting import split_steps
from tests.policies.openai.fake_server import open_policy
from tests.policies.tiny_model import save_tiny_model

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

SHIPPED = Path(stepnav.__file__).parent / "zoo" / "models" / "arithmetic-policy"
START_LIMIT_S = 300.0
QUESTION = Trajectory(
    Problem("p", "Tom has 12 apples. He buys 5 apples. How many apples does Tom have now?")
)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("fastapi", reason="transformers serve needs transformers[serving]")
    pytest.importorskip("uvicorn", reason="transformers serve needs transformers[serving]")
    if (SHIPPED / "config.json").is_file():
        return SHIPPED
    return save_tiny_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(scope="module")
def url(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the server on a free port and wait until it is up."""
    home = tmp_path_factory.mktemp("hf-home")
    (home / "hub").mkdir()  # without it /v1/models answers 500
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = "from transformers.cli.transformers import main; main()"
    command = [sys.executable, "-c", start, "serve", str(model_folder), "--device", "cpu"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    environment = {
        **os.environ,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    log = home / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until_up(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_up(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the server ended: {log.read_text()[-2000:]}")
        try:
            if httpx.get(health, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    pytest.fail(f"the server was not up after {START_LIMIT_S:.0f} s: {log.read_text()[-2000:]}")


def connect(url: str, model_folder: Path, **options: Any) -> OpenAIPolicy:
    return open_policy(url, str(model_folder), timeout_s=300, **options)


def ask(backend: OpenAIPolicy, *requests: Request) -> list[Answer]:
    for ticket, request in enumerate(requests):
        backend.submit(ticket, request)
    found: dict[int, Answer] = {}
    deadline = time.monotonic() + 300
    while len(found) < len(requests) and time.monotonic() < deadline:
        for ticket, answer in backend.poll(1):
            assert isinstance(answer, Answer), answer
            found[ticket] = answer
    return [found[ticket] for ticket in range(len(requests))]


@pytest.fixture(scope="module")
def backend(url: str, model_folder: Path) -> Iterator[OpenAIPolicy]:
    backend = connect(url, model_folder, max_concurrency=1)
    yield backend
    backend.close()


def test_what_the_probe_finds(backend: OpenAIPolicy) -> None:
    found = backend.capabilities
    assert found.api == "completions"
    assert not found.n
    assert found.stop == "kept"
    assert found.seed == "honoured"
    assert found.temperature in ("honoured", "generation_config")
    assert not found.logprobs
    assert found.usage
    assert found.max_tokens
    said = "\n".join(backend.fallbacks)
    assert "several samples are asked for one by one" in said
    assert "trimmed at the boundary" in said


def test_steps_end_at_their_boundary_and_are_paid_for(backend: OpenAIPolicy) -> None:
    (answer,) = ask(backend, Propose(QUESTION, 3, Sampling(1.0, max_tokens=60), seed=3))
    assert len(answer.items) == 3
    for step in answer.items:
        assert "\n" not in step.text.lstrip()[:-1]
        assert step.finish in ("step", "end", "length")
        assert (step.finish != "step") or step.text.endswith("\n")
        assert 0 < step.num_tokens <= 60
    assert answer.usage.policy_calls == 3
    assert answer.usage.policy_tokens == sum(step.num_tokens for step in answer.items)
    assert answer.usage.policy_prompt_tokens > 0


def test_samples_differ_and_seeds_repeat_one_at_a_time(backend: OpenAIPolicy) -> None:
    request = Propose(QUESTION, 4, Sampling(1.5, max_tokens=40), seed=11)
    first, again, other = ask(backend, request, request, replace(request, seed=12))
    assert first.items == again.items
    assert len({step.text for step in first.items}) > 1
    assert first.items != other.items


def test_a_search_walks_down_step_by_step(backend: OpenAIPolicy) -> None:
    (whole,) = ask(backend, Complete(QUESTION, 1, Sampling(0.0, max_tokens=100)))
    prefix = QUESTION
    while not prefix.is_finished and len(prefix.steps) < 30:
        (answer,) = ask(backend, Propose(prefix, 1, Sampling(0.0, max_tokens=100)))
        prefix = prefix.extend(answer.items[0])
        if answer.items[0].finish == "length":
            break
    shared = min(len(prefix.text), len(whole.items[0].text))
    assert shared > 0
    assert prefix.text[:shared] == whole.items[0].text[:shared]


def test_completions_are_split_into_steps(backend: OpenAIPolicy) -> None:
    (answer,) = ask(backend, Complete(QUESTION, 2, Sampling(1.0, max_tokens=80), seed=5))
    for trajectory in answer.items:
        texts = [step.text for step in trajectory.steps]
        assert texts == (split_steps(trajectory.text, "\n") or [""])
        assert trajectory.steps[-1].finish in ("end", "length")
        assert sum(step.num_tokens for step in trajectory.steps) <= 80


def test_many_requests_at_once_are_all_answered(url: str, model_folder: Path) -> None:
    backend = connect(url, model_folder, max_concurrency=8)
    try:
        assert backend.capabilities.seed in ("alone", "honoured")
        requests = [
            Propose(QUESTION, 1, Sampling(1.0, max_tokens=10), seed=seed) for seed in range(24)
        ]
        assert all(len(answer.items) == 1 for answer in ask(backend, *requests))
    finally:
        backend.close()


def test_chat_is_asked_in_new_turns(url: str, model_folder: Path) -> None:
    if not has_chat_template(model_folder):
        refused = pytest.raises(BackendError, match="HTTP 500")
        with refused as caught:
            connect(url, model_folder, api="chat", max_retries=0)
        assert "\n" not in str(caught.value)
        return
    backend = connect(url, model_folder, api="chat", max_concurrency=1)
    try:
        assert backend.capabilities.api == "chat"
        assert backend.capabilities.continues == "no"
        (first,) = ask(backend, Propose(QUESTION, 1, Sampling(1.0, max_tokens=30), seed=1))
        (second,) = ask(
            backend,
            Propose(QUESTION.extend(*first.items), 1, Sampling(1.0, max_tokens=30)),
        )
    finally:
        backend.close()
    assert len(second.items) == 1


def has_chat_template(folder: Path) -> bool:
    settings = (folder / "tokenizer_config.json").read_text()
    return (folder / "chat_template.jinja").is_file() or '"chat_template"' in settings


def test_the_servers_only_model_needs_no_name(url: str) -> None:
    backend = open_policy(url, timeout_s=300)
    backend.close()
    assert backend.capabilities.usage


def test_another_model_is_refused_with_the_servers_words(url: str) -> None:
    with pytest.raises(BackendError, match="pinned to"):
        open_policy(url, "another-model", max_retries=0)


def test_greedy_solutions_are_those_of_the_local_engine(
    backend: OpenAIPolicy, model_folder: Path
) -> None:
    if model_folder != SHIPPED:
        pytest.skip("the shipped model is not there; another tokenizer may add other tokens")
    from stepnav.policies.local import LocalPolicy
    from stepnav.tasks.arithmetic import problems as arithmetic

    requests = [Complete(Trajectory(p), 1, Sampling(0.0)) for p in arithmetic.load("dev", 3, 0)]
    local = LocalPolicy(model_folder)
    try:
        for ticket, request in enumerate(requests):
            local.submit(ticket, request)
        own: dict[int, Any] = {}
        while len(own) < len(requests):
            own.update(local.poll(1))
    finally:
        local.close()
    for ticket, answer in enumerate(ask(backend, *requests)):
        assert [item.text for item in answer.items] == [item.text for item in own[ticket].items]
        assert answer.usage.policy_tokens == own[ticket].usage.policy_tokens
