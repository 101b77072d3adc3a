"""Errors, retries, concurrency and cancelling, over a mock transport and over sockets."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from stepnav.core.backend import Answer
from stepnav.core.errors import (
    BackendDown,
    BackendError,
    BackendTimeout,
    BadResponse,
    RateLimited,
)
from stepnav.core.records import Problem, Trajectory
from stepnav.core.requests import Complete, PolicyRequest, Propose, Sampling
from stepnav.policies.openai.backend import OpenAIPolicy
from stepnav.policies.openai.capabilities import Capabilities
from stepnav.policies.openai.protocol import parse_reply
from stepnav.policies.openai.refusals import refused_field, token_limit
from stepnav.remote.errors import error_message, error_of, retry_after_s, transport_error
from tests.policies.openai.fake_server import ALL_HONOURED, FakeOpenAI, open_policy

KNOWN = Capabilities(stop="removed", seed="honoured", names_stop=True)
REQUEST = Propose(Trajectory(Problem("p", "How many?")), 1, Sampling(1.0), seed=1)
GOOD = {
    "choices": [{"text": "One.", "finish_reason": "stop", "stop_reason": "\n"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}

Handler = Callable[[httpx.Request], Any]


@contextmanager
def policy(handler: Handler, **options: Any) -> Iterator[OpenAIPolicy]:
    options = {"backoff_s": 0.001, "max_retries": 3, "capabilities": KNOWN, **options}
    made = open_policy("http://server", "m", transport=httpx.MockTransport(handler), **options)
    try:
        yield made
    finally:
        made.close()


def result(backend: OpenAIPolicy, request: PolicyRequest = REQUEST) -> Answer | BackendError:
    backend.submit(1, request)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for _, answer in backend.poll(1):
            return answer
    raise AssertionError("no answer within 30 s")


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen within 30 s"
        time.sleep(0.005)


def script(*responses: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """Return a handler that gives these in order, then the last for ever, and what it was sent."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        response = responses[min(len(seen), len(responses)) - 1]
        if isinstance(response, Exception):
            raise response
        return httpx.Response(
            response.status_code, headers=response.headers, content=response.content
        )

    return handle, seen


def ok() -> httpx.Response:
    return httpx.Response(200, json=GOOD)


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable", "attempts"),
    [
        (400, '{"error": {"message": "bad prompt"}}', BadResponse, False, 1),
        (401, '{"error": {"message": "bad key"}}', BackendDown, False, 1),
        (402, "pay first", BackendDown, False, 1),
        (403, "", BackendDown, False, 1),
        (404, '{"error": {"message": "no such model"}}', BackendDown, False, 1),
        (408, "", BackendError, True, 4),
        (409, "", BackendError, True, 4),
        (418, "", BadResponse, False, 1),
        (422, '{"detail": "prompt must be text"}', BadResponse, False, 1),
        (429, '{"error": {"message": "slow down"}}', RateLimited, True, 4),
        (429, '{"error": {"code": "insufficient_quota"}}', BackendDown, False, 1),
        (500, "Internal Server Error", BackendError, True, 4),
        (501, "", BadResponse, False, 1),
        (502, "<html>bad gateway</html>", BackendDown, True, 4),
        (503, "", BackendDown, True, 4),
        (504, "", BackendDown, True, 4),
    ],
)
def test_each_status_is_mapped_and_retried_only_where_it_helps(
    status: int, body: str, kind: type[BackendError], retryable: bool, attempts: int
) -> None:
    handler, seen = script(httpx.Response(status, content=body.encode()))
    with policy(handler) as backend:
        error = result(backend)
        assert backend.http_retries == attempts - 1
    assert type(error) is kind
    assert (error.status_code, error.retryable, error.provider) == (status, retryable, "openai")
    assert len(seen) == attempts
    assert "\n" not in str(error)
    assert (f"tried {attempts} times" in str(error)) == (attempts > 1)


@pytest.mark.parametrize(
    ("failure", "kind", "attempts"),
    [
        (httpx.ConnectError("refused"), BackendDown, 4),
        (httpx.ConnectTimeout("slow"), BackendDown, 4),
        (httpx.ReadTimeout("slow"), BackendTimeout, 4),
        (httpx.ReadError("reset"), BackendDown, 4),
        (httpx.RemoteProtocolError("hung up"), BackendDown, 4),
        (httpx.DecodingError("bad gzip"), BadResponse, 1),
        (httpx.UnsupportedProtocol("ftp"), BackendDown, 1),
    ],
)
def test_each_transport_failure_is_mapped(
    failure: Exception, kind: type[BackendError], attempts: int
) -> None:
    handler, seen = script(failure)
    with policy(handler) as backend:
        error = result(backend)
    assert type(error) is kind
    assert len(seen) == attempts


def test_every_httpx_error_has_a_place() -> None:
    kinds = [
        kind
        for _, kind in inspect.getmembers(httpx, inspect.isclass)
        if issubclass(kind, httpx.HTTPError)
    ]
    assert len(kinds) > 15
    for kind in kinds:
        request = httpx.Request("POST", "http://server")
        error = (
            kind("x", request=request, response=httpx.Response(500))
            if kind is httpx.HTTPStatusError
            else kind("x")
        )
        assert isinstance(transport_error(error, "http://server"), BackendError)


@pytest.mark.parametrize(
    "content",
    [
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [{}]}',
        b'{"choices": [{"text": "a", "finish_reason": 7}]}',
        b'{"choices": [{"text": ["a"]}]}',
        b'{"error": "overloaded"}',
    ],
)
def test_rubbish_is_a_bad_response_at_once(content: bytes) -> None:
    handler, seen = script(httpx.Response(200, content=content))
    with policy(handler) as backend:
        error = result(backend)
    assert type(error) is BadResponse
    assert not error.retryable
    assert len(seen) == 1


def test_foreign_text_in_errors_is_cut() -> None:
    handler, _ = script(httpx.Response(400, content=b"x" * 5000))
    with policy(handler) as backend:
        error = result(backend)
    assert 200 < len(str(error)) < 300


def test_the_key_is_sent_and_never_told() -> None:
    handler, seen = script(httpx.Response(401, content=b"no"))
    with policy(handler, api_key="sk-secret") as backend:
        error = result(backend)
    assert seen[0].headers["authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in str(error)


def test_a_passing_failure_is_retried_and_answered() -> None:
    handler, seen = script(httpx.Response(500), httpx.ReadError("reset"), ok())
    with policy(handler) as backend:
        answer = result(backend)
        assert backend.http_retries == 2
    assert isinstance(answer, Answer)
    assert answer.items[0].text == "One.\n"
    assert [json.loads(request.content)["seed"] for request in seen] == [
        json.loads(seen[0].content)["seed"]
    ] * 3


def test_retry_after_is_honoured() -> None:
    handler, seen = script(httpx.Response(429, headers={"Retry-After": "0.4"}), ok())
    with policy(handler) as backend:
        began = time.monotonic()
        assert isinstance(result(backend), Answer)
        assert time.monotonic() - began >= 0.4
    assert len(seen) == 2


def test_too_long_a_retry_after_is_not_waited_for() -> None:
    handler, seen = script(httpx.Response(429, headers={"Retry-After": "3600"}))
    with policy(handler, max_wait_s=5) as backend:
        error = result(backend)
    assert type(error) is RateLimited
    assert "asks to wait 3600 s" in str(error)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "-7"}, 0.0),
        ({"retry-after": formatdate(1_000_030, usegmt=True)}, 30.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
    ],
)
def test_retry_after_is_read(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers, 1_000_000) == wait_s


def test_backoff_doubles_and_its_jitter_comes_from_the_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await real_sleep(0)

    monkeypatch.setattr("stepnav.remote.connection.asyncio.sleep", sleep)
    for _ in range(2):
        handler, _ = script(httpx.Response(500))
        with policy(handler, backoff_s=1.0, max_retries=6, max_wait_s=20.0) as backend:
            result(backend)
    assert pauses[:6] == pauses[6:]
    for attempt, pause in enumerate(pauses[:6]):
        assert min(20.0, 0.5 * 2**attempt) <= pause <= min(20.0, 1.5 * 2**attempt)


def test_concurrency_is_bounded_and_used() -> None:
    in_flight = most = 0

    async def handle(request: httpx.Request) -> httpx.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.005)
        in_flight -= 1
        return ok()

    with policy(handle, max_concurrency=5) as backend:
        began = time.monotonic()
        for ticket in range(60):
            backend.submit(ticket, replace(REQUEST, n=3))
        assert time.monotonic() - began < 5  # submit does not wait for answers
        tickets: list[int] = []
        while len(tickets) < 60:
            tickets += [ticket for ticket, _ in backend.poll(10)]
    assert most == 5
    assert sorted(tickets) == list(range(60))


def test_a_pause_between_retries_frees_its_slot() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        is_first = json.loads(request.content)["prompt"].startswith("first")
        return httpx.Response(503, headers={"retry-after": "30"}) if is_first else ok()

    first = replace(REQUEST, prefix=Trajectory(Problem("p", "first")))
    with policy(handle, max_concurrency=1) as backend:
        backend.submit(1, first)
        wait_for(lambda: backend.http_requests == 1)
        backend.submit(2, REQUEST)
        ((ticket, answer),) = backend.poll(10)
    assert ticket == 2
    assert isinstance(answer, Answer)


def test_a_cancelled_request_hangs_up_and_is_never_answered() -> None:
    started, cancelled = threading.Event(), threading.Event()

    async def handle(request: httpx.Request) -> httpx.Response:
        if json.loads(request.content)["prompt"].startswith("slow"):
            started.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.set()
                raise
        return ok()

    slow = replace(REQUEST, prefix=Trajectory(Problem("p", "slow")))
    with policy(handle) as backend:
        backend.submit(1, slow)
        assert started.wait(30)
        backend.cancel(1)
        backend.cancel(1)
        backend.cancel(12345)
        assert cancelled.wait(30)
        backend.submit(2, REQUEST)
        assert [ticket for ticket, _ in backend.poll(10)] == [2]
        assert backend.poll(0) == []


def test_an_answer_that_came_before_the_cancel_is_dropped() -> None:
    handler, _ = script(ok())
    with policy(handler) as backend:
        backend.submit(1, REQUEST)
        wait_for(lambda: backend._done.qsize() == 1)
        backend.cancel(1)
        assert backend.poll(0) == []


def test_closing_with_requests_open_is_quick_and_twice_is_fine() -> None:
    async def handle(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return ok()

    with policy(handle) as backend:
        for ticket in range(20):
            backend.submit(ticket, REQUEST)
        began = time.monotonic()
        backend.close()
        assert time.monotonic() - began < 5
        with pytest.raises(RuntimeError, match="closed"):
            backend.submit(99, REQUEST)
    assert not any(thread.name == "openai" for thread in threading.enumerate())


def test_answers_come_before_a_down_server() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        is_bad = json.loads(request.content)["prompt"].startswith("bad")
        return httpx.Response(401) if is_bad else ok()

    with policy(handle) as backend:
        backend.submit(1, replace(REQUEST, prefix=Trajectory(Problem("p", "bad"))))
        backend.submit(2, REQUEST)
        wait_for(lambda: backend._done.qsize() == 2)
        first, second = backend.poll(10), backend.poll(10)
    assert [(ticket, type(answer)) for ticket, answer in first] == [(2, Answer)]
    assert [(ticket, type(answer)) for ticket, answer in second] == [(1, BackendDown)]


def test_a_slow_server_is_a_timeout() -> None:
    with FakeOpenAI(replace(ALL_HONOURED, delay_s=8.0)) as server:
        backend = open_policy(
            server.url, "fake", capabilities=KNOWN, timeout_s=0.2, max_retries=1, backoff_s=0.001
        )
        began = time.monotonic()
        error = result(backend)
        assert time.monotonic() - began < 7
        backend.close()
    assert type(error) is BackendTimeout
    assert error.retryable
    assert len(server.bodies) == 2


def test_nobody_listens() -> None:
    with FakeOpenAI(ALL_HONOURED) as server:
        url = server.url
    with pytest.raises(BackendDown, match="is the server running there"):
        open_policy(url, "fake", max_retries=1, backoff_s=0.001)
    assert not any(thread.name == "openai" for thread in threading.enumerate())


def test_a_wrong_key_is_told_on_connect() -> None:
    wrong_key = pytest.raises(BackendDown, match="--api-key-env")
    with FakeOpenAI(replace(ALL_HONOURED, api_key="right")) as server, wrong_key as caught:
        open_policy(server.url, "fake", api_key="wrong")
    assert caught.value.status_code == 401
    assert server.bodies == []


def test_a_server_that_goes_away_in_the_middle() -> None:
    with FakeOpenAI(ALL_HONOURED) as server:
        backend = open_policy(server.url, "fake", max_retries=1, backoff_s=0.001)
    try:
        assert type(result(backend)) is BackendDown
    finally:
        backend.close()


def test_our_own_bugs_are_raised_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    handler, _ = script(ok())
    monkeypatch.setattr("stepnav.policies.openai.client.parse_reply", lambda *_: 1 / 0)
    with policy(handler) as backend, pytest.raises(ZeroDivisionError):
        result(backend)


@pytest.mark.parametrize(
    ("body", "sent", "field"),
    [
        ('{"detail": "Unexpected fields in the request: {\'seed\'}"}', ["seed", "n"], "seed"),
        ('{"error": {"message": "no", "param": "top_p"}}', ["top_p", "n"], "top_p"),
        ('{"detail": [{"loc": ["body", "n"], "msg": "x"}]}', ["seed", "n"], "n"),
        ("Unrecognized request argument supplied: logprobs", ["logprobs"], "logprobs"),
        ("`n` must be 1", ["n", "seed"], "n"),
        ("in an error, nothing was named", ["n", "stop"], None),
        ("the prompt should stop", ["stop"], None),
        ("unknown field 'prompt'", ["prompt", "seed"], None),
        ('{"error": {"param": "seed"}}', ["n"], None),
    ],
)
def test_refused_fields_are_recognised(body: str, sent: list[str], field: str | None) -> None:
    assert refused_field(body, dict.fromkeys(sent, "")) == field


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        ("max_tokens must be less than or equal to `8192`", 8192),
        ("This model supports at most 4096 completion tokens, max_tokens was 9000", 4096),
        ("the maximum value for `max_tokens` is 512", 512),
        ("maximum context length is 2048 tokens", None),
        ("max_tokens is wrong", None),
    ],
)
def test_token_limits_are_read(message: str, limit: int | None) -> None:
    assert token_limit(json.dumps({"error": {"message": message}})) == limit


VLLM_OVERFLOW = (
    "'max_tokens' or 'max_completion_tokens' is too large: 256. This model's maximum context "
    "length "
    "is 512 tokens and your request has 500 input tokens (256 > 512 - 500)."
)


def test_a_request_is_shortened_to_the_room_that_its_prompt_leaves() -> None:
    refusal = httpx.Response(400, json={"error": {"message": VLLM_OVERFLOW}})
    handler, seen = script(refusal, ok())
    with policy(handler) as backend:
        assert isinstance(result(backend), Answer)
        assert isinstance(result(backend), Answer)
    limits = [json.loads(request.content)["max_tokens"] for request in seen]
    assert limits == [256, 12, 256]


def test_a_prompt_that_fills_the_context_fails_at_once() -> None:
    message = VLLM_OVERFLOW.replace("500", "600")
    handler, seen = script(httpx.Response(400, json={"error": {"message": message}}))
    with policy(handler) as backend:
        assert type(result(backend)) is BadResponse
    assert len(seen) == 1


def test_error_messages_are_found() -> None:
    assert error_message('{"error": {"message": "a"}}') == "a"
    assert error_message('{"error": "b"}') == "b"
    assert error_message('{"detail": [1]}') == "[1]"
    assert error_message(" plain ") == "plain"
    assert "empty" in str(error_of(500, "", "m"))


def test_a_reasoning_model_without_visible_text_is_cut_short() -> None:
    payload = {"choices": [{"message": {"content": None}, "finish_reason": "length"}]}
    (choice,) = parse_reply("chat", payload).choices
    assert (choice.text, choice.finish) == ("", "length")


def chat_choices(*contents: Any, **fields: Any) -> dict[str, Any]:
    choices = [
        {"message": {"role": "assistant", "content": content}, "finish_reason": "stop", **fields}
        for content in contents
    ]
    return {"choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 32}}


@pytest.mark.parametrize(
    "reason", ["length", "model_length", "max_tokens", "MAX_TOKENS", "content_filter"]
)
def test_a_text_that_was_broken_off_is_no_finished_solution(reason: str) -> None:
    cut = {**GOOD, "choices": [{"text": "One.\nIt is", "finish_reason": reason}]}
    handler, seen = script(httpx.Response(200, json=cut))
    with policy(handler) as backend:
        answer = result(backend, Complete(REQUEST.prefix, 1, Sampling(1.0)))
    assert isinstance(answer, Answer)
    assert [step.finish for step in answer.items[0].steps] == ["step", "length"]
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("fields", "kind", "says"),
    [
        ({"finish_reason": "abort"}, BadResponse, "finish_reason 'abort'"),
        ({"finish_reason": "error"}, BadResponse, "finish_reason 'error'"),
        ({"finish_reason": "insufficient_system_resource"}, BadResponse, "system_resource'"),
        (
            {"finish_reason": "error", "error": {"code": 502, "message": "upstream idle"}},
            BackendDown,
            "HTTP 502): 'upstream idle'",
        ),
    ],
)
def test_a_text_that_the_server_failed_in_is_drawn_again_and_charged(
    fields: dict[str, Any], kind: type[BackendError], says: str
) -> None:
    broken = httpx.Response(200, json={**GOOD, "choices": [{"text": "On", **fields}]})
    handler, _ = script(broken, broken, ok())
    with policy(handler) as backend:
        answer = result(backend)
    assert isinstance(answer, Answer)
    assert [step.text for step in answer.items] == ["One.\n"]
    assert (answer.usage.policy_tokens, answer.usage.failed_tokens) == (6, 4)
    assert answer.usage.policy_prompt_tokens == 3 * GOOD["usage"]["prompt_tokens"] > 0
    handler, seen = script(broken)
    with policy(handler) as backend:
        error = result(backend)
    assert type(error) is kind
    assert says in str(error)
    assert (len(seen), error.failed_tokens) == (4, 8)


@pytest.mark.parametrize(
    ("error", "kind", "attempts"),
    [
        ({"message": "Provider returned error", "code": 502}, BackendDown, 4),
        ({"message": "Provider returned error", "code": 429}, RateLimited, 4),
        ({"message": "Provider returned error", "code": 400}, BadResponse, 1),
        ({"message": "Provider returned error", "code": "odd"}, BadResponse, 1),
    ],
)
def test_an_error_inside_an_answer_is_that_of_its_code(
    error: dict[str, Any], kind: type[BackendError], attempts: int
) -> None:
    handler, seen = script(httpx.Response(200, json={"id": "gen-1", "error": error}))
    with policy(handler) as backend:
        found = result(backend)
    assert type(found) is kind
    assert ": 'Provider returned error'" in str(found)
    assert len(seen) == attempts


def test_a_refusal_is_an_empty_text_beside_its_siblings() -> None:
    texts = [f"It is {number}." for number in range(15)]
    handler, seen = script(httpx.Response(200, json=chat_choices(*texts[:5], None, *texts[5:])))
    with policy(handler, capabilities=replace(KNOWN, api="chat", n=True)) as backend:
        answer = result(backend, Complete(REQUEST.prefix, 16, Sampling(1.0)))
    assert isinstance(answer, Answer)
    assert [item.text for item in answer.items] == [*texts[:5], "", *texts[5:]]
    assert len(seen) == 1


def test_a_list_of_parts_is_the_text_in_it() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    parts = [thought, {"type": "text", "text": "It is"}, {"type": "text", "text": " 4."}]
    (choice,) = parse_reply("chat", chat_choices(parts)).choices
    assert choice.text == "It is 4."


@pytest.mark.parametrize(
    "logprobs",
    [
        {"content": [{"token": "a", "logprob": None, "top_logprobs": None}]},
        {"content": [{"token": "a"}]},
        {"content": [7]},
        {"tokens": ["a"], "token_logprobs": [None]},
        {"tokens": 7, "token_logprobs": 7},
        {"tokens": ["a"], "token_logprobs": [10**400]},
    ],
)
def test_log_probabilities_that_cannot_be_read_are_not_known(logprobs: Any) -> None:
    (choice,) = parse_reply("chat", chat_choices("a", logprobs=logprobs)).choices
    assert (choice.text, choice.tokens, choice.listed) == ("a", None, ())


@pytest.mark.parametrize("choices", [[], [{}]])
def test_a_bad_answer_costs_what_the_server_counted(choices: list[Any]) -> None:
    payload = {"choices": choices, "usage": {"prompt_tokens": 1, "completion_tokens": 9}}
    handler, _ = script(httpx.Response(200, json=payload))
    with policy(handler) as backend:
        error = result(backend)
    assert isinstance(error, BadResponse)
    assert error.failed_tokens == 9


def test_choices_are_taken_by_their_index() -> None:
    texts = [{"index": at, "text": text, "finish_reason": "stop"} for at, text in enumerate("abc")]
    shuffled = {"choices": [texts[2], texts[0], texts[1]]}
    found = parse_reply("completions", shuffled).choices
    assert "".join(choice.text for choice in found) == "abc"
    found = parse_reply("completions", {"choices": [{"text": text} for text in "ba"]}).choices
    assert "".join(choice.text for choice in found) == "ba"
