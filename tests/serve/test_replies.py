"""What came of searches, in OpenAI's forms."""

from __future__ import annotations

import json
import re
import threading

import httpx
import pytest

from stepnav.core.errors import BackendError
from tests.serve.processes import MESSAGES, make_house, serving, sleepy_policy, wait_until

CHAT = "/v1/chat/completions"
THINKING = "<think>\nIs it 3?\n\nNo.\n</think>\n\nIt is 4.\n#### 4"


def by_temperature(question, steps, *, temperature):
    """Answer 4 twice and 5 once, in turns."""
    by_temperature.calls += 1
    return f"#### {5 if by_temperature.calls % 3 == 0 else 4}"


@pytest.fixture
def url():
    by_temperature.calls = 0
    with serving(make_house(by_temperature)) as (url, _):
        yield url


def test_n_gives_distinct_answers_with_their_mass(url):
    body = {"model": "self_consistency-m", "messages": MESSAGES, "n": 5}
    body["stepnav"] = {"options": {"samples": 12}}
    answer = httpx.post(url + CHAT, json=body).json()
    own = [choice["stepnav"] for choice in answer["choices"]]
    assert own == [{"answer": "4", "mass": 8 / 12}, {"answer": "5", "mass": 4 / 12}]
    assert answer["choices"][0]["message"]["content"] == "#### 4"
    assert answer["stepnav"]["policy_calls"] == 12


@pytest.mark.parametrize("kind", ["chat/completions", "completions"])
@pytest.mark.parametrize("model", ["self_consistency-m", "m"])
def test_every_choice_that_a_stream_opens_is_ended(url, kind, model):
    body = {"model": model, "messages": MESSAGES, "prompt": "What?", "n": 5, "stream": True}
    lines = httpx.post(f"{url}/v1/{kind}", json=body).text.splitlines()
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    ended = [choice["index"] for choice in choices if choice["finish_reason"]]
    assert ended == list(range(2 if model == "self_consistency-m" else 5))
    assert {choice["index"] for choice in choices} == set(ended)
    if kind == "chat/completions":
        for index in ended:
            first, *rest = [c["delta"] for c in choices if c["index"] == index]
            assert first["role"] == "assistant"
            assert not any("role" in delta for delta in rest)


def test_a_plain_model_gives_its_samples_as_they_are(url):
    body = {"model": "m", "messages": MESSAGES, "n": 3}
    answer = httpx.post(url + CHAT, json=body).json()
    texts = sorted(choice["message"]["content"] for choice in answer["choices"])
    assert texts == ["#### 4", "#### 4", "#### 5"]
    assert "stepnav" not in answer


def test_usage_counts_what_was_generated_and_what_of_it_was_not_returned(url):
    body = {"model": "self_consistency-m", "messages": MESSAGES}
    body["stepnav"] = {"options": {"samples": 12}}
    used = httpx.post(url + CHAT, json=body).json()["usage"]
    assert used["completion_tokens"] == used["total_tokens"] - used["prompt_tokens"] > 0
    returned = used["completion_tokens"] - used["completion_tokens_details"]["reasoning_tokens"]
    assert returned * 12 == used["completion_tokens"]


@pytest.mark.parametrize("kind", ["whole", "stream"])
def test_thoughts_are_kept_apart_from_the_answer(kind):
    with serving(make_house(lambda question, steps, *, temperature: THINKING)) as (url, _):
        body = {"model": "self_consistency-m", "messages": MESSAGES, "stream": kind == "stream"}
        answer = httpx.post(url + CHAT, json=body)
    if kind == "whole":
        messages = [choice["message"] for choice in answer.json()["choices"]]
    else:
        lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
        messages = [json.loads(line)["choices"][0]["delta"] for line in lines]
    for name in ("reasoning", "reasoning_content"):
        assert "".join(message.get(name, "") for message in messages) == "Is it 3?\n\nNo."
    assert "".join(message.get("content", "") for message in messages) == "It is 4.\n#### 4"
    assert "<think>" not in answer.text


def test_a_process_notes_what_is_open_although_nobody_asks_it():
    """With several workers another one may be asked for /metrics."""
    may_go_on = threading.Event()

    def patient(question, steps, *, temperature):
        may_go_on.wait(30)
        return "#### 4"

    def told(count):
        line = f'stepnav_open{{kind="running"}} {count}'.encode()
        return line in server.service.metrics.text()

    with serving(make_house(patient)) as (url, server):
        body = {"model": "cot-m", "messages": MESSAGES}
        asked = threading.Thread(target=httpx.post, args=[url + CHAT], kwargs={"json": body})
        asked.start()
        wait_until(lambda: told(1.0), 30)
        may_go_on.set()
        asked.join()
        wait_until(lambda: told(0.0), 30)


@pytest.mark.parametrize("kind", ["chat/completions", "completions", "responses"])
def test_a_stream_that_fails_is_not_counted_as_answered(kind):
    def failing(question, steps, *, temperature):
        raise BackendError("ill")

    body = {"model": "cot-m", "messages": MESSAGES, "prompt": "What?", "input": "What?"}
    with serving(make_house(failing)) as (url, _):
        for is_stream in (False, True):
            answer = httpx.post(f"{url}/v1/{kind}", json={**body, "stream": is_stream}, timeout=30)
            assert "ill" in answer.text
        told = httpx.get(f"{url}/metrics").text
    counts = [line for line in told.splitlines() if "request_duration_seconds_count{" in line]
    assert [(line.partition(",")[0].partition("{")[2], line[-4:]) for line in counts] == [
        ('error_type="502"', " 2.0")
    ]


def test_a_stream_whose_client_goes_away_is_not_counted_as_answered():
    with serving(make_house(sleepy_policy)) as (url, server):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                url + CHAT, json={"model": "hgs-m", "messages": MESSAGES, "stream": True}, timeout=1
            )
        wait_until(lambda: server.service.engine.num_open == 0)
        wait_until(lambda: len(server.server_state.tasks) == 0)
        told = httpx.get(f"{url}/metrics").text
    assert 'request_duration_seconds_count{error_type="cancelled"' in told
    assert 'request_duration_seconds_count{error_type=""' not in told


def test_what_a_search_has_spent_is_counted_although_its_client_went_away():
    with serving(make_house(sleepy_policy)) as (url, server):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url + CHAT, json={"model": "hgs-m", "messages": MESSAGES}, timeout=1)

        def spent():
            told = server.service.metrics.text().decode()
            return re.findall(
                r'^stepnav_tokens_total{model="policy",use="generated"} (.*)$', told, re.M
            )

        wait_until(spent, 30)
        assert float(spent()[0]) > 0
        assert b"stepnav_left_total 1.0" in server.service.metrics.text()


def test_metrics_count_searches_tokens_and_time(url):
    body = {"model": "hgs-m", "messages": MESSAGES}
    assert httpx.post(url + CHAT, json=body).status_code == 200
    httpx.post(url + CHAT, json={**body, "stream": True})
    httpx.post(url + CHAT, json={**body, "messages": []})
    told = httpx.get(f"{url}/metrics").text
    assert 'stepnav_searches_total{stop_reason="accepted",strategy="hgs"} 2.0' in told
    assert 'gen_ai_server_request_duration_seconds_count{error_type="",' in told
    assert "gen_ai_server_time_to_first_token_seconds_count{" in told
    assert (
        'gen_ai_client_token_usage_count{gen_ai_request_model="m",gen_ai_token_type="output"} 2.0'
        in told
    )
    assert 'stepnav_tokens_total{model="policy",use="generated"}' in told
    assert 'stepnav_open{kind="running"} 0.0' in told
