"""Reward models on servers from the command line: options, keys, and what is said where it
fails."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from stepnav import build
from stepnav.build import models
from stepnav.core.errors import BackendError
from stepnav.remote.options import ServerOptions
from tests.cli.test_server import call
from tests.policies.openai.fake_server import ALL_HONOURED, Behaviour, FakeOpenAI
from tests.rewards import public_models
from tests.rewards.remote.fake_server import FakeServer

SECRET = "sk-reward-0123456789"
SOLVE = ("solve", "--task", "arithmetic", "--strategy", "beam:beam_size=1:branching=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return public_models.token_classes(tmp_path_factory.mktemp("served") / "prm")


def test_a_search_with_a_reward_model_on_a_server(folder: Path) -> None:
    server = FakeServer(folder, "token-classes", "pooling")
    with server.listening() as url:
        status, out, err = call(
            *SOLVE, "--reward", url, "--reward-tokenizer", str(folder), "--concurrency", "2",
            "--json", STEPNAV_REWARD_API_KEY=SECRET, OPENAI_API_KEY="of-another-server",
        )  # fmt: skip
        assert status == 0, err
        local = call(*SOLVE, "--reward", str(folder), "--json")
    assert set(server.keys) == {f"Bearer {SECRET}"}
    assert SECRET not in out + err
    remote, here = json.loads(out), json.loads(local[1])
    assert remote["answer"] == here["answer"]
    assert remote["usage"]["reward_tokens"] == here["usage"]["reward_tokens"] > 0
    assert remote["usage"]["policy_tokens"] == here["usage"]["policy_tokens"]


@pytest.mark.parametrize("own_key", [{}, {"STEPNAV_REWARD_API_KEY": SECRET}], ids=str)
def test_a_judge_on_another_server_is_sent_nothing_of_the_policys(own_key: dict[str, str]) -> None:
    with FakeOpenAI(ALL_HONOURED) as policy, FakeOpenAI(Behaviour(other_models=("x",))) as judge:
        status, _, err = call(
            "solve", "What is 2 + 2?", "--chat", "--policy", policy.url, "--extra-body",
            '{"top_k": 3}', "--reward", f"judge:{judge.url}", "--reward-model", "fake",
            "--strategy", "best_of_n:samples=2", OPENAI_API_KEY="of-the-policy", **own_key,
        )  # fmt: skip
    assert status == 0, err
    assert policy.keys == {"Bearer of-the-policy"}
    assert 3 in [body.get("top_k") for body in policy.bodies]
    assert judge.keys == ({f"Bearer {SECRET}"} if own_key else {None})
    assert any("right" in str(body["messages"]) for body in judge.bodies)
    assert 3 not in [body.get("top_k") for body in judge.bodies]  # a probe has its own


def test_a_judge_on_a_server_has_a_key_beside_a_policy_in_this_process() -> None:
    with FakeOpenAI(ALL_HONOURED) as judge:
        status, _, err = call(
            *SOLVE, "--reward", f"judge:{judge.url}", "--reward-api-key-env", "MINE",
            "--timeout", "60", MINE=SECRET, OPENAI_API_KEY="of-another-server",
        )  # fmt: skip
    assert status == 0, err
    assert judge.keys == {f"Bearer {SECRET}"}


def test_a_bare_judge_asks_the_policy_over_its_own_connection() -> None:
    with FakeOpenAI(ALL_HONOURED) as policy:
        status, _, err = call(
            "solve", "What is 2 + 2?", "--chat", "--policy", policy.url, "--reward", "judge",
            "--strategy", "best_of_n:samples=2", OPENAI_API_KEY="of-the-policy",
            STEPNAV_REWARD_API_KEY=SECRET,
        )  # fmt: skip
    assert status == 0, err
    assert policy.keys == {"Bearer of-the-policy"}


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("http://h:1", True), ("https://h", True), ("orm:http://h", True), ("./prm", False),
        ("orm:./prm", False), ("judge:http://h", True), ("judge-logprob:http://h", True),
        ("judge", False), ("judge:./model", False), ("likelihood:http://h", False),
    ],
)  # fmt: skip
def test_which_names_are_servers(name: str, is_one: bool) -> None:
    assert build.is_served(name) is is_one


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--reward-model", "m"), "--reward-model is for a server; --reward must be its URL"),
        (("--reward", "http://127.0.0.1:{port}", "--retries", "0"), "cannot reach"),
        (("--reward", "http://"), "is no server's URL"),
        (("--reward", "{url}", "--reward-tokenizer", "nowhere"), "no folder 'nowhere'"),
        (("--reward", "{url}", "--reward-model", "m"), "has no model 'm'"),
        (
            ("--reward", "judge:{url}", "--reward-tokenizer", "."),
            "--reward-tokenizer is not for a judge",
        ),
        (("--reward", "orm:{url}"), "does not give this reward model's scores"),
        (("--reward", "{url}", "--reward-api-key-env", "NO_SUCH"), "NO_SUCH holds none"),
        (("--reward", "{url}", "--api-key-env", "HOME"), "--api-key-env is for a server"),
        (("--reward", "likelihood:{url}"), "no model folder"),
    ],
)
def test_one_clear_line_each(options: tuple[str, ...], says: str, folder: Path) -> None:
    server = FakeServer(folder, "token-classes", "pooling")
    with server.listening() as url:
        shown = [text.format(url=url, port=free_port()) for text in options]
        status, _, err = call(*SOLVE, *shown)
    assert status == 2
    assert says in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_limits_of_a_reward_models_server_are_for_stepnav_serve_too() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    options = ("--port", "0", "--reward", url, "--timeout", "3", "--retries", "0")
    status, _, err = call("serve", *options)
    assert (status, "cannot reach" in err) == (2, True), err


def test_a_page_instead_of_a_model_server(folder: Path) -> None:
    page = "<!doctype html><html>welcome</html>"
    server = FakeServer(folder, "token-classes", "pooling", spoil=lambda *_: (200, page))
    with server.listening() as url:
        status, _, err = call(*SOLVE, "--reward", url)
        others = [call(*command, url) for command in (
            ("calibrate", "--data", "x.jsonl", "--reward"),
            ("eval-prm", "--data", "x.jsonl", "--out", "x", "--reward"),
        )]  # fmt: skip
    assert status == 2
    assert "is no model server" in err
    assert len(err.strip().splitlines()) == 1
    for status, _, err in others:
        assert status == 2
        assert len(err.strip().splitlines()) == 1


def test_a_server_that_is_down_is_told_before_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(models, "open_policy", lambda name, *_, **__: opened.append(name))
    task = build.load_task("arithmetic")
    server = build.RewardServer(options=ServerOptions(max_retries=0))
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(BackendError, match="cannot reach"):
        build.open_models(policy="arithmetic", reward=url, task=task, reward_server=server)
    assert opened == []
