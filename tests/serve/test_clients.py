"""Stock clients against a running `stepnav serve`: over the shipped models, and over a model
server."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator

import httpx
import openai
import pytest

import stepnav
from stepnav import build
from stepnav.core.codec import encode_tree
from stepnav.run.traces import read_trace
from tests.policies.openai.fake_server import Behaviour, FakeOpenAI
from tests.serve.processes import MESSAGES, process

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    return tmp_path_factory.mktemp("traces")


@pytest.fixture(scope="module")
def shipped(traces) -> Iterator[str]:
    with process("--traces", str(traces)) as (url, _):
        yield url


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(Behaviour(names_stop=True)) as server:
        yield server


@pytest.fixture(scope="module")
def behind(fake) -> Iterator[str]:
    with process("--policy", fake.url) as (url, _):
        yield url


@pytest.fixture(params=["shipped", "behind"])
def served(request) -> tuple[str, str]:
    """Return a server's URL and a model of it that is searched."""
    url = request.getfixturevalue(request.param)
    return url, "hgs-plain" if request.param == "shipped" else "self_consistency-fake"


def test_openai_client(served):
    url, model = served
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        assert model in [found.id for found in client.models.list()]
        reply = client.chat.completions.create(model=model, messages=MESSAGES, seed=0)
        again = client.chat.completions.create(model=model, messages=MESSAGES, seed=0)
    assert "####" in reply.choices[0].message.content
    assert reply.choices[0].finish_reason == "stop"
    assert reply.choices[0].message.content == again.choices[0].message.content
    used = reply.usage
    assert used.total_tokens == used.prompt_tokens + used.completion_tokens
    own = reply.model_extra["stepnav"]
    assert own["stop_reason"] in ("accepted", "finished")
    assert own["answer"] in reply.choices[0].message.content


def test_openai_client_streams(served):
    url, model = served
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        whole = client.chat.completions.create(model=model, messages=MESSAGES, seed=3)
        chunks = list(
            client.chat.completions.create(
                model=model,
                messages=MESSAGES,
                seed=3,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    content = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert content == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_openai_async_client(served):
    url, model = served

    async def ask_all():
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
            asked = [
                client.completions.create(model=model, prompt=f"What is {i} + 2?", seed=0)
                for i in range(6)
            ]
            return await asyncio.gather(*asked)

    texts = [reply.choices[0].text for reply in asyncio.run(ask_all())]
    assert all("####" in text for text in texts)
    assert len(set(texts)) == 6


def test_openai_client_responses(served):
    url, model = served
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        reply = client.responses.create(model=model, input="What is 2 + 2?")
        assert "####" in reply.output_text
        assert reply.usage.output_tokens > 0
        with pytest.raises(openai.BadRequestError) as error:
            client.responses.create(model=model, input="And now?", previous_response_id="resp_1")
    assert "keeps none" in str(error.value)


def test_openai_client_streams_responses(served):
    url, model = served
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        whole = client.responses.create(model=model, input="What is 2 + 2?", extra_body={"seed": 3})
        stream = client.responses.create(
            model=model, input="What is 2 + 2?", stream=True, extra_body={"seed": 3}
        )
        events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == whole.output_text
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == text
    assert events[-1].response.usage.output_tokens == whole.usage.output_tokens


def test_curl(served):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    url, model = served
    body = json.dumps({"model": model, "messages": MESSAGES, "stream": True})
    said = subprocess.run(
        ["curl", "-sN", f"{url}/v1/chat/completions", "-d", body], capture_output=True, text=True
    ).stdout
    events = [
        line.removeprefix("data: ") for line in said.splitlines() if line.startswith("data: ")
    ]
    assert events[-1] == "[DONE]"
    text = "".join(json.loads(e)["choices"][0]["delta"].get("content", "") for e in events[:-1])
    assert "####" in text


def test_litellm(served):
    url, model = served
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm

        settings = {"model": f"openai/{model}", "api_base": f"{url}/v1", "api_key": "none"}
        reply = litellm.completion(messages=MESSAGES, **settings)
        pieces = litellm.completion(
            messages=MESSAGES, stream=True, stream_options={"include_usage": True}, **settings
        )
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert "####" in reply.choices[0].message.content
    assert "####" in text


def test_a_beam_streams_its_settled_steps_and_never_takes_one_back(shipped):
    own = {"stepnav": {"options": {"beam_size": 1}}}
    question = (
        "Tom has 3 bags with 4 apples each. He gives 5 apples away. How many apples does he have?"
    )
    with openai.OpenAI(base_url=f"{shipped}/v1", api_key="none") as client:
        stream = client.chat.completions.create(
            model="beam-plain",
            messages=[{"role": "user", "content": question}],
            seed=1,
            stream=True,
            extra_body=own,
        )
        deltas = [chunk.choices[0].delta for chunk in stream]
    settled = [(delta.model_extra or {}).get("reasoning") for delta in deltas]
    told = [text for text in settled if text]
    content = "".join(delta.content or "" for delta in deltas)
    assert len(told) > 1
    assert "".join(told).strip() == content
    assert [
        t for t in ((d.model_extra or {}).get("reasoning_content") for d in deltas) if t
    ] == told


def test_the_endpoint_grows_the_trees_of_a_bench(shipped, traces):
    strategies = ["cot", "hgs", "beam", "best_of_n", "weighted_vote"]
    results = stepnav.bench(build.load_task("plain"), strategies, count=3, split="test", seed=7)
    assert len(results.trees) == 15
    for shown in results.trees:
        result, problem = shown.result, shown.tree.problem
        own = {"strategy": result.strategy, "seed": 7, "problem_id": problem.id}
        messages = [{"role": "user", "content": problem.question}]
        body = {"model": "plain", "messages": messages, "stepnav": own}
        answer = httpx.post(f"{shipped}/v1/chat/completions", json=body, timeout=120).json()
        kept = read_trace(traces, answer["stepnav"]["trace"])
        assert encode_tree(kept.tree)["nodes"] == encode_tree(result.tree)["nodes"]
        assert kept.usage.policy_tokens == result.usage.policy_tokens
        assert answer["choices"][0]["message"]["content"] == result.outcome.trajectory.text.strip()


def test_a_trace_is_a_page_and_stepnav_show_reads_it(shipped, traces):
    body = {"model": "hgs-plain", "messages": MESSAGES}
    trace = httpx.post(f"{shipped}/v1/chat/completions", json=body).json()["stepnav"]["trace"]
    page = httpx.get(f"{shipped}/traces/{trace}")
    assert page.status_code == 200
    assert "What is 2 + 2?" in page.text
    shown = subprocess.run(
        [sys.executable, "-m", "stepnav", "show", str(traces), "--problem", trace],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "What is 2 + 2?" in shown.stdout
    assert httpx.get(f"{shipped}/traces/{'0' * 32}").status_code == 404
    assert httpx.get(f"{shipped}/traces/..%2f..%2ftraces.sqlite").status_code == 404


def test_an_unsearched_request_reaches_the_model_server_as_it_is(behind, fake):
    body = {"model": "fake", "messages": MESSAGES, "top_k": 7, "stepnav": None}
    answer = httpx.post(f"{behind}/v1/chat/completions", json=body)
    assert answer.headers["X-Stepnav-Search"] == "none"
    assert fake.bodies[-1] == {"model": "fake", "messages": MESSAGES, "top_k": 7}
    body = {"model": "self_consistency-fake", "messages": MESSAGES, "logprobs": True}
    answer = httpx.post(f"{behind}/v1/chat/completions", json=body)
    assert answer.headers["X-Stepnav-Unsearched"] == "logprobs"
    assert answer.json()["choices"][0]["logprobs"]
    refused = httpx.post(f"{behind}/v1/chat/completions", json={**body, "tools": [{}]})
    assert refused.status_code == 422  # by the model server, in its own words


def test_a_judge_that_asks_the_policy_leaves_it_on_its_server(fake):
    with process("--policy", fake.url, "--reward", "judge") as (url, _):
        listed = httpx.get(f"{url}/v1/models").json()["data"]
        assert {"fake", "best_of_n-fake"} <= {model["id"] for model in listed}
        body = {"model": "fake", "messages": MESSAGES, "logprobs": True, "top_k": 7}
        assert httpx.post(f"{url}/v1/chat/completions", json=body).status_code == 200
        assert fake.bodies[-1] == body
        turns = [{"role": "system", "content": "Be brief."}, *MESSAGES]
        body = {
            "model": "best_of_n-fake",
            "messages": turns,
            "stepnav": {"options": {"samples": 1}},
        }
        reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).json()
        assert reply["stepnav"]["ignored"] == []
        assert reply["stepnav"]["reward_tokens"] > 0
    assert any(body["messages"][: len(turns)] == turns for body in fake.bodies)


def test_earlier_turns_reach_the_model_server(behind, fake):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"},
             {"role": "assistant", "content": "Hello!"}]  # fmt: skip
    body = {"model": "cot-fake", "messages": [*turns, *MESSAGES]}
    assert httpx.post(f"{behind}/v1/chat/completions", json=body).json()["stepnav"]["ignored"] == []
    assert fake.bodies[-1]["messages"] == [*turns, *MESSAGES]
