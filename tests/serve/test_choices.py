"""Which reward model a request asks for, streamed replies of /v1/responses, and spans."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepnav.build.plugins import as_reward
from stepnav.cli.options.models import ModelOptions
from stepnav.cli.serve import _with_rewards
from stepnav.core.errors import BackendError
from stepnav.rewards.without_thoughts import WithoutThoughts
from stepnav.serve import spans
from tests.cli.test_server import call
from tests.serve.processes import MESSAGES, make_house, serving

CHAT = "/v1/chat/completions"
BODY = {"model": "hgs-m", "messages": MESSAGES}


def unsure(question: str, steps: Any) -> list[float]:
    return [0.6] * len(steps)


def house_of_two() -> Any:
    house = make_house()
    models = {**house.models, "reward:second": as_reward(unsure)}
    return replace(house, models=models, rewards={"second": "reward:second"})


def test_a_request_chooses_its_reward_model() -> None:
    with serving(house_of_two()) as (url, _):

        def right_prob(**own: Any) -> float:
            reply = httpx.post(url + CHAT, json={**BODY, "stepnav": own}).json()
            return reply["stepnav"]["right_prob"]

        assert right_prob() == pytest.approx(0.9**2)
        assert right_prob(reward="r") == pytest.approx(0.9**2)
        assert right_prob(reward="second") == pytest.approx(0.6**2)
        refused = httpx.post(url + CHAT, json={**BODY, "stepnav": {"reward": "third"}})
        assert refused.status_code == 400
        assert "there is r, second" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--also-reward", "arithmetic"), "must be NAME=REWARD (got 'arithmetic')"),
        (("--also-reward", "plain=plain"), "two reward models called 'plain'"),
        (("--also-reward", "a=oracle"), "is of a task"),
        (("--also-reward", "a=./nowhere"), "no model folder './nowhere'"),
    ],
)
def test_further_reward_models_that_cannot_be_used(options: tuple[str, ...], says: str) -> None:
    status, _, err = call("serve", "--port", "0", *options)
    assert (status, err.count("\n")) == (2, 1)
    assert says in err


def events_of(url: str, **fields: Any) -> list[dict[str, Any]]:
    body = {"model": "hgs-m", "input": "What is 2 + 2?", "stream": True, **fields}
    lines = httpx.post(f"{url}/v1/responses", json=body, timeout=60).text.splitlines()
    data = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    names = [line[7:] for line in lines if line.startswith("event: ")]
    assert names == [event["type"] for event in data]
    assert [event["sequence_number"] for event in data] == list(range(len(data)))
    return data


def test_streamed_responses() -> None:
    with serving(make_house()) as (url, _):
        found = events_of(url)
        assert [event["type"].removeprefix("response.") for event in found] == [
            "created", "in_progress", "output_item.added", "content_part.added",
            "output_text.delta", "output_text.done", "content_part.done", "output_item.done",
            "completed",
        ]  # fmt: skip
        assert found[0]["response"]["status"] == "in_progress"
        assert found[0]["response"]["id"] == found[-1]["response"]["id"]
        text = found[4]["delta"]
        assert "####" in text
        assert found[-1]["response"]["output"][0]["content"][0]["text"] == text
        assert found[-1]["response"]["usage"]["output_tokens"] > 0
        assert events_of(url, max_output_tokens=1)[-1]["type"] == "response.incomplete"


def test_a_stream_of_responses_that_fails_says_so() -> None:
    def broken(question: str, steps: Any) -> list[float]:
        raise ValueError("no")

    with serving(make_house(reward=broken)) as (url, _):
        last = events_of(url)[-1]
    assert last["type"] == "error"
    assert last["message"]


class Span:
    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        self.name, self.attributes, self.num_ends = name, dict(attributes), 0

    def set_attribute(self, name: str, value: Any) -> None:
        self.attributes[name] = value

    def set_attributes(self, attributes: dict[str, Any]) -> None:
        self.attributes |= attributes

    def end(self) -> None:
        self.num_ends += 1


class Tracing:
    def __init__(self) -> None:
        self.made: list[Span] = []

    def get_tracer(self, name: str) -> Tracing:
        return self

    def start_span(self, name: str, attributes: dict[str, Any]) -> Span:
        self.made.append(Span(name, attributes))
        return self.made[-1]


def test_each_search_is_a_span(monkeypatch: pytest.MonkeyPatch) -> None:
    tracing = Tracing()
    monkeypatch.setattr(spans, "trace", tracing)
    with serving(make_house()) as (url, _):
        used = httpx.post(url + CHAT, json=BODY).json()["usage"]
        httpx.post(url + CHAT, json={**BODY, "stream": True})
        httpx.post(url + CHAT, json={**BODY, "n": 0})  # refused before it is a search
    assert [span.num_ends for span in tracing.made] == [1, 1]
    for span in tracing.made:
        assert span.name == "chat hgs-m"
        assert span.attributes["gen_ai.operation.name"] == "chat"
        assert span.attributes["gen_ai.usage.output_tokens"] == used["completion_tokens"]
        assert span.attributes["stepnav.strategy"] == "hgs"
        assert "2 + 2" not in str(span.attributes)


@pytest.mark.parametrize("is_stream", [False, True])
def test_the_span_of_a_search_that_fails_says_so(
    is_stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(question: str, steps: Any) -> list[float]:
        raise BackendError("no")

    tracing = Tracing()
    monkeypatch.setattr(spans, "trace", tracing)
    with serving(make_house(reward=broken)) as (url, _):
        httpx.post(url + CHAT, json={**BODY, "stream": is_stream})
    (span,) = tracing.made
    assert (span.attributes["error.type"], span.num_ends) == ("502", 1)


def test_without_the_api_there_are_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "trace", None)
    with serving(make_house()) as (url, _):
        assert httpx.post(url + CHAT, json=BODY).status_code == 200


@pytest.mark.parametrize("skips", [True, False])
def test_further_reward_models_are_not_shown_thoughts_either(tmp_path: Path, skips: bool) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def reward(question, steps):\n    return [0.5] * len(steps)\n")
    with contextlib.ExitStack() as stack:
        options = ModelOptions(skip_thoughts=skips)
        house = _with_rewards(make_house(), [f"mine={path}:reward"], options, stack)
        assert isinstance(house.models["reward:mine"], WithoutThoughts) is skips
