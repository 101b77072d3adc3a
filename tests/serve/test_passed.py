"""Passed requests: what of a model server's answer reaches the client, and what does not."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import signal
import socket
import threading

import httpx
import openai
import pytest

from stepnav.serve.house import Server
from stepnav.serve.passed_events import PassedEvents
from tests.policies.openai.fake_server import Behaviour, FakeOpenAI, open_policy
from tests.serve.processes import MESSAGES, make_house, serving, wait_until
from tests.serve.slow_upstream import SSE, SlowUpstream, chunk

CHAT = "/v1/chat/completions"
BODY = {"model": "m", "messages": MESSAGES}
STREAM = {**BODY, "stream": True}
KEY = "sk-0123456789abcdef"


def event(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    body = {"id": "x", "object": "chat.completion.chunk", "created": 1, "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n".encode()


def passing(upstream: str, key: str | None = None):
    return serving(make_house(reward=None, server=Server(upstream, "m", key)))


@pytest.mark.parametrize("media", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("status", [401, 402, 403])
def test_what_concerns_the_operators_account_is_logged_and_not_passed(status, media, caplog):
    said = json.dumps({"error": {"message": f"Incorrect API key provided: sk-***9f3a, {KEY}"}})
    with FakeOpenAI(Behaviour()) as fake, passing(fake.url, KEY) as (url, _):
        fake.failures.append((status, {"Content-Type": media}, said))
        answer = httpx.post(url + CHAT, json=BODY)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "upstream_failed"
    assert "cannot be used now" in answer.json()["error"]["message"]
    assert "9f3a" not in answer.text
    assert "9f3a" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("cut", [1, 9, len(KEY) - 1])
def test_a_key_is_blotted_out_of_a_stream_wherever_it_is_cut(cut):
    whole = event(f"Invalid key {KEY}.")
    at = whole.index(KEY.encode()) + cut
    pieces = [SSE, chunk(whole[:at]), 0.02, chunk(whole[at:]), chunk(b"")]
    with SlowUpstream(pieces) as upstream, passing(upstream.url, KEY) as (url, _):
        assert httpx.post(url + CHAT, json=STREAM).content == event("Invalid key ***.")


def test_a_stream_is_passed_as_it_comes_and_as_it_is():
    """Blank lines of both kinds, cut anywhere, and a last event that lacks one."""
    said = b": hello\n\n" + event("a") + b"data: 1\r\n\r\n" + event("b") + b"data: [DONE]"
    cut = [chunk(said[at : at + 3]) for at in range(0, len(said), 3)]
    with SlowUpstream([SSE, *cut, chunk(b"")]) as upstream, passing(upstream.url) as (url, _):
        assert httpx.post(url + CHAT, json=STREAM).content == said


def test_the_first_event_is_told_though_a_comment_comes_with_it():
    called, seen = [], []

    async def pieces():
        for piece in (b": ping\r\n\r\n", b": data:\n\ndata: 1\n\n", b"data: 2\n\n"):
            yield piece

    async def take():
        async for piece in PassedEvents(pieces(), bytes, lambda: called.append(len(seen))).events():
            seen.append(piece)

    asyncio.run(take())
    assert (called, len(seen)) == ([1], 3)


def test_an_event_is_passed_before_the_next_one_comes():
    with (
        SlowUpstream([SSE, chunk(event("a")), 30.0]) as upstream,
        passing(upstream.url) as (url, _),
        httpx.stream("POST", url + CHAT, json=STREAM) as answer,
    ):
        assert next(answer.iter_bytes()) == event("a")


def test_a_stream_that_breaks_off_in_an_event_ends_with_an_error_that_clients_know():
    pieces = [SSE, chunk(event("hello")), chunk(event("lost")[:40]), 0.1]
    with SlowUpstream(pieces) as upstream, passing(upstream.url) as (url, _):
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            stream = client.chat.completions.create(**STREAM)
            assert next(stream).choices[0].delta.content == "hello"
            with pytest.raises(openai.APIError, match="the model server hung up"):
                next(stream)
        told = httpx.get(f"{url}/metrics").text
    assert 'request_duration_seconds_count{error_type="502",' in told


@pytest.mark.parametrize("is_stream", [True, False])
def test_what_is_passed_when_the_server_stops_ends_with_an_error_after_the_grace(is_stream, caplog):
    pieces = [SSE, chunk(event("hello")), 60.0] if is_stream else []
    with SlowUpstream(pieces) as upstream, passing(upstream.url) as (url, server):

        def stop():
            wait_until(lambda: upstream.num_asked)
            server.handle_exit(signal.SIGTERM, None)

        threading.Thread(target=stop).start()
        answer = httpx.post(url + CHAT, json={**STREAM, "stream": is_stream}, timeout=30)
    told = answer.text.split("data: ")[-1]
    assert json.loads(told)["error"]["code"] == "stopping"
    assert answer.status_code == (200 if is_stream else 503)
    assert "Traceback" not in caplog.text


def test_an_event_without_end_is_bounded(monkeypatch):
    monkeypatch.setattr("stepnav.serve.passed_events.MAX_ANSWER_BYTES", 1000)
    pieces = itertools.chain([SSE, chunk(event("hello"))], itertools.repeat(chunk(b"x" * 500)))
    with SlowUpstream(pieces) as upstream, passing(upstream.url) as (url, _):
        first, last, end = httpx.post(url + CHAT, json=STREAM).text.split("\n\n")
    assert "hello" in first
    assert "too long" in json.loads(last[6:])["error"]["message"]
    assert end == ""


def test_a_client_that_takes_nothing_of_a_passed_stream_is_left(monkeypatch):
    monkeypatch.setattr("stepnav.serve.gate.SEND_S", 0.5)
    monkeypatch.setattr("stepnav.serve.server.SEND_S", 0.5)
    pieces = itertools.chain([SSE], itertools.repeat(chunk(event("x" * 8000))))
    with SlowUpstream(pieces) as upstream, passing(upstream.url) as (url, server):
        body = json.dumps(STREAM).encode()
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
            client.sendall(head % len(body) + body)
            wait_until(lambda: server.service.num_passed == 1)
            wait_until(lambda: server.service.num_passed == 0)
            wait_until(lambda: upstream.hung_up)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # nor does it hold up the server's end
                wait_until(lambda: not server.server_state.connections)


def test_metrics_time_a_passed_stream_to_its_end():
    pieces = [SSE, chunk(b": wait\n\n"), 0.3, chunk(event("a")), 0.3, chunk(b"")]
    with SlowUpstream(pieces) as upstream, passing(upstream.url) as (url, _):
        assert httpx.post(url + CHAT, json=STREAM).status_code == 200
        told = httpx.get(f"{url}/metrics").text

    def value(name):
        return float(re.search(rf"^gen_ai_server_{name}{{.*}} (.*)$", told, re.MULTILINE)[1])

    assert 0.3 <= value("time_to_first_token_seconds_sum") < value("request_duration_seconds_sum")
    assert value("request_duration_seconds_sum") >= 0.6
    assert value("time_to_first_token_seconds_count") == 1


def test_a_stream_keeps_the_headers_that_an_answer_keeps():
    told = {"Content-Type": "text/event-stream", "Retry-After": "7", "X-Request-Id": "abc"}
    with FakeOpenAI(Behaviour()) as fake, passing(fake.url) as (url, _):
        fake.failures.append((429, told, 'data: {"error": {"message": "busy"}}\n\n'))
        answer = httpx.post(url + CHAT, json=STREAM)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.headers["X-Request-Id"] == "abc"


def test_a_search_tells_how_long_the_model_server_asks_to_wait():
    with FakeOpenAI(Behaviour(names_stop=True)) as fake:
        policy = open_policy(fake.url, api="chat")
        with serving(make_house(policy, reward=None)) as (url, _):
            fake.failures.append((429, {"Retry-After": "3600"}, "slow down"))
            answer = httpx.post(url + CHAT, json={**BODY, "model": "cot-m"}, timeout=30)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")


@pytest.mark.parametrize(
    ("status", "headers", "body", "words"),
    [
        (307, {"Location": "http://inner:9/v1", "Content-Type": "application/json"}, "",
         "redirects to another address (HTTP 307)"),
        (200, {"Content-Type": "application/json"}, "", "answered what is no JSON (HTTP 200)"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_said_plainly(status, headers, body, words, caplog):
    with FakeOpenAI(Behaviour()) as fake, passing(fake.url) as (url, _):
        fake.failures.append((status, headers, body))
        answer = httpx.post(url + CHAT, json=BODY)
    assert answer.status_code == 502
    assert words in answer.json()["error"]["message"]
    assert "inner" not in answer.text  # where it leads to is for the log
    assert ("inner" in caplog.text) == (status == 307)


@pytest.mark.parametrize("media", ["application/json", "text/event-stream"])
def test_metrics_tell_what_a_passed_request_was_answered_with(media):
    said = json.dumps({"error": {"message": "no such field"}})
    said = said if "json" in media else f"data: {said}\n\n"
    with FakeOpenAI(Behaviour()) as fake, passing(fake.url) as (url, _):
        fake.failures.append((422, {"Content-Type": media}, said))
        assert httpx.post(url + CHAT, json=BODY).status_code == 422
        told = httpx.get(f"{url}/metrics").text
    assert re.findall(r'request_duration_seconds_count{error_type="(.*?)",', told) == ["422"]
