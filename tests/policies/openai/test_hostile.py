"""Servers that answer rubbish, floods and nothing: no body may end in anything but our own
errors."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepnav.core.backend import Answer
from stepnav.core.errors import BackendDown, BackendError, BadResponse, ConfigError
from stepnav.core.records import Problem, Trajectory
from stepnav.core.requests import Complete, Propose, Sampling
from stepnav.policies.openai.backend import OpenAIPolicy
from stepnav.policies.openai.capabilities import Capabilities
from stepnav.policies.openai.protocol import parse_reply
from stepnav.remote.body import MAX_BODY_BYTES, parse_models
from stepnav.remote.connection import HttpFailure, with_version
from stepnav.remote.options import ServerOptions
from tests.policies.openai.fake_server import ALL_HONOURED, FakeOpenAI, open_policy

KNOWN = Capabilities(stop="removed", seed="honoured", names_stop=True)
QUESTION = Trajectory(Problem("p", "How many?"))
REQUEST = Propose(QUESTION, 1, Sampling(1.0), seed=1)

HOSTILE = [
    b"[" * 100_000,
    b'{"choices":' * 50_000,
    b'{"detail":[{"loc":5}]}',
    b'{"detail":[{"loc":[["body"]]}, 7]}',
    b'{"error":{"message":' + b"7" * 5000 + b"}}",
    b"maximum context length is " + b"7" * 5000 + b" tokens, 1 input tokens",
    b"max_tokens must be at most " + b"7" * 5000,
    b'{"choices":[{"text":"a","logprobs":{"tokens":["a"],"token_logprobs":['
    + b"7" * 4000
    + b"]}}]}",
    b'{"choices":[{"text":' + b"[" * 900 + b"]" * 900 + b"}]}",
    b'{"choices":[{"text":"a","finish_reason":' + b"[" * 900 + b"]" * 900 + b"}]}",
    b'{"choices":[{"text":"a"}],"usage":{"prompt_tokens":'
    + b"7" * 4000
    + b',"completion_tokens":1}}',
    b'{"choices":[{"text":"a"}],"usage":{"prompt_tokens":1,"completion_tokens":Infinity}}',
    b'{"choices":[{"text":"\\ud83d"}]}',
    b'{"choices":[{"text":"a","stop_reason":"\\ud83d"}]}',
    b'\xef\xbb\xbf{"choices":[]}',
    b"\x00" * 1000,
    b"",
]


def ask(policy: OpenAIPolicy, request: Propose | Complete = REQUEST) -> Answer | BackendError:
    policy.submit(1, request)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for _, answer in policy.poll(1):
            return answer
    raise AssertionError("no answer within 30 s")


@contextmanager
def serving(raw: bytes) -> Iterator[str]:
    """Run a server that sends these bytes to whoever asks, and hangs up; yield its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    connection.sendall(raw)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                except OSError:  # the client has heard enough
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def response(body: bytes, status: int = 200, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.mark.parametrize("status", [200, 400, 422, 500])
@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:30]))
def test_hostile_bodies_are_errors_of_ours(body: bytes, status: int) -> None:
    with serving(response(body, status)) as url:
        options = {"max_retries": 0, "timeout_s": 10.0}
        policy = open_policy(url, "m", capabilities=KNOWN, **options)
        try:
            answer = ask(policy)
        finally:
            policy.close()
        assert isinstance(answer, (Answer, BackendError))
        if isinstance(answer, BackendError):
            assert len(str(answer)) < 1000
            assert "\n" not in str(answer)
        with suppress(BackendError):  # some are good enough for a connection
            open_policy(url, "m", backoff_s=0.001, **options).close()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["\ud83d", "stop", "length", "temperature", 10**4000, "a" * 300]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "text",
                    "message",
                    "content",
                    "finish_reason",
                    "logprobs",
                    "tokens",
                    "error",
                    "code",
                    "token_logprobs",
                    "token",
                    "logprob",
                    "usage",
                    "prompt_tokens",
                    "completion_tokens",
                    "prompt_tokens_details",
                    "cached_tokens",
                    "stop_reason",
                    "data",
                    "id",
                    "max_model_len",
                    "detail",
                    "loc",
                    "param",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(json_values)
def test_any_json_is_a_reply_or_a_bad_response(value: Any) -> None:
    for api in ("completions", "chat"):
        with suppress(BadResponse, HttpFailure):
            reply = parse_reply(api, value)
            assert reply.choices
            assert all(isinstance(choice.text, str) for choice in reply.choices)
    for name, size in parse_models(value).items():
        assert name.isprintable()
        assert size is None or size > 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(json_values | st.binary(max_size=40), st.sampled_from([200, 400, 422, 404, 429, 503]))
def test_any_body_is_an_answer_or_an_error_of_ours(value: Any, status: int) -> None:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=content)

    options = {"max_retries": 1, "backoff_s": 0.0, "transport": httpx.MockTransport(handle)}
    policy = open_policy("http://server", "m", capabilities=KNOWN, **options)
    try:
        assert isinstance(ask(policy), (Answer, BackendError))
        assert isinstance(ask(policy, Complete(QUESTION, 2, Sampling(0.0))), (Answer, BackendError))
    finally:
        policy.close()
    with suppress(BackendError, ConfigError):
        open_policy("http://server", **options).close()


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("kind", ["plain", "gzip", "endless"])
def test_a_flood_does_not_fill_the_memory(kind: str, status: int) -> None:
    body = b" " * (100 * 2**20)
    raw = response(body, status)
    if kind == "gzip":
        raw = response(gzip.compress(body, 9), status, "Content-Encoding: gzip")
    if kind == "endless":
        raw = f"HTTP/1.1 {status} x\r\n\r\n".encode() + body
    del body
    with serving(raw) as url:
        policy = open_policy(url, "m", capabilities=KNOWN, max_retries=0)
        tracemalloc.start()
        try:
            error = ask(policy)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            policy.close()
    assert isinstance(error, BackendError)
    assert peak < 4 * MAX_BODY_BYTES
    if status == 200:
        assert "longer than 16 MiB" in str(error)


@pytest.mark.parametrize("encoding", ["br", "zstd", "x", "gzip", "deflate"])
def test_a_body_that_cannot_be_unpacked_is_a_bad_response(encoding: str) -> None:
    good = gzip.compress(b'{"choices": [{"text": "One."}]}')[:-9]
    with serving(response(good, 200, f"Content-Encoding: {encoding}")) as url:
        policy = open_policy(url, "m", capabilities=KNOWN, max_retries=0)
        error = ask(policy)
        policy.close()
    assert type(error) is BadResponse


def test_a_compressed_body_is_read() -> None:
    good = gzip.compress(b'{"choices": [{"text": "One.\\ud83d \\ud83d\\ude00"}]}')
    with serving(response(good, 200, "Content-Encoding: gzip")) as url:
        policy = open_policy(url, "m", capabilities=KNOWN, max_retries=0)
        answer = ask(policy)
        policy.close()
    assert isinstance(answer, Answer)
    assert answer.items[0].text == "One.\ufffd \U0001f600"


def test_a_hanging_server_is_one_error_within_ten_seconds() -> None:
    listener = socket.create_server(("127.0.0.1", 0))  # the kernel accepts, nobody answers
    began = time.monotonic()
    with pytest.raises(BackendDown, match="did not answer GET /models within 6 s"):
        open_policy(f"http://127.0.0.1:{listener.getsockname()[1]}", "m")
    assert time.monotonic() - began < 9
    listener.close()


def test_a_key_is_never_shown_not_even_by_the_server() -> None:
    secret = "sk-secret-0123456789"
    raw = response(json.dumps({"error": {"message": f"bad key {secret}"}}).encode(), 401)
    with serving(raw) as url, pytest.raises(BackendDown, match=r"bad key \*\*\*") as caught:
        open_policy(url, "m", api_key=secret)
    assert secret not in str(caught.value)
    assert secret not in repr(ServerOptions(api_key=secret))


@pytest.mark.parametrize("key", ["", "  ", "sk\nx", "schlüssel", "sk-\x00"])
def test_a_key_that_no_header_may_hold_is_not_shown_either(key: str) -> None:
    with pytest.raises(ConfigError, match="the API key") as caught:
        ServerOptions(api_key=key)
    assert not key.strip() or key not in str(caught.value)


def test_a_missing_key_is_told() -> None:
    asked = pytest.raises(BackendDown, match=r"wants an API key, and none was sent.*OPENAI_API_KEY")
    with FakeOpenAI(replace(ALL_HONOURED, api_key="right")) as server, asked:
        open_policy(server.url, "fake")


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://a b", "http://", "ftp://x", "http://x:99999", "http://x?key=1", "",
     "http://x/\n", "http://" + "a" * 70_000, "http://\u2028x", "http://me:pw@host/v1"],
)  # fmt: skip
def test_urls_that_lead_nowhere(url: str) -> None:
    with pytest.raises((ConfigError, BackendError)) as caught:
        open_policy(url, "m", timeout_s=2.0)
    assert "me:pw" not in str(caught.value)


@given(st.text(max_size=30))
def test_any_text_is_a_url_or_a_config_error(text: str) -> None:
    for url in (text, f"http://{text}"):
        with suppress(ConfigError):
            assert re.match("https?://.", with_version(url))


# what a context holds


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("counts", ["exactly", "at least", "not"])
@pytest.mark.parametrize("api", ["completions", "chat"])
def test_a_small_context_is_enough(tells: bool, counts: str, api: str) -> None:
    behaviour = replace(
        ALL_HONOURED, context_tokens=64, tells_context=tells, counts_prompt=counts, stop="kept"
    )
    with FakeOpenAI(behaviour) as server:
        policy = open_policy(server.url, "fake", api=api)
        answer = ask(policy, Complete(QUESTION, 1, Sampling(0.0)))
        assert policy.capabilities.context_tokens == (64 if tells else None)
        before = len(server.bodies)
        ask(policy, Complete(QUESTION, 1, Sampling(0.0)))
        policy.close()
    assert isinstance(answer, Answer), answer
    assert answer.items[0].is_finished
    assert len(server.bodies) - before <= 3


def test_a_prompt_that_fills_the_context_is_told_soon() -> None:
    for counts in ("exactly", "at least", "not"):
        behaviour = replace(ALL_HONOURED, context_tokens=64, counts_prompt=counts)
        with FakeOpenAI(behaviour) as server:
            policy = open_policy(server.url, "fake")
            before = len(server.bodies)
            error = ask(policy, Complete(Trajectory(Problem("p", "word " * 99)), 1, Sampling(0.0)))
            policy.close()
        assert type(error) is BadResponse
        assert "maximum context length" in str(error)
        assert len(server.bodies) - before <= 8


# what a refusal teaches


def test_a_server_that_takes_temperatures_up_to_one_has_them() -> None:
    with FakeOpenAI(replace(ALL_HONOURED, max_temperature=1.0)) as server:
        policy = open_policy(server.url, "fake")
        found = policy.capabilities
        server.bodies.clear()
        assert isinstance(ask(policy), Answer)
        assert server.bodies[0]["temperature"] == 1.0
        error = ask(policy, replace(REQUEST, sampling=Sampling(1.2)))
        policy.close()
    assert (found.temperature, found.seed, found.n, found.refused) == (
        "honoured",
        "honoured",
        True,
        (),
    )
    assert type(error) is BadResponse  # not a search at another temperature than was asked for


def test_a_server_without_temperature_zero_gets_nearly_that() -> None:
    with FakeOpenAI(replace(ALL_HONOURED, takes_zero_temperature=False)) as server:
        policy = open_policy(server.url, "fake")
        server.bodies.clear()
        assert isinstance(ask(policy, replace(REQUEST, sampling=Sampling(0.0))), Answer)
        policy.close()
    assert policy.capabilities.lowest_temperature == server.bodies[0]["temperature"] == 0.01
    assert any("temperature 0 is refused" in line for line in policy.fallbacks)


def test_a_temperature_near_zero_is_zero() -> None:
    with FakeOpenAI(ALL_HONOURED) as server:
        policy = open_policy(server.url, "fake")
        server.bodies.clear()
        answer = ask(policy, replace(REQUEST, n=3, sampling=Sampling(1e-38)))
        policy.close()
    assert [body["temperature"] for body in server.bodies] == [0.0]
    assert isinstance(answer, Answer)
    assert len({step.text for step in answer.items}) == 1
    assert answer.usage.policy_calls == 1


@pytest.mark.parametrize("field", ["seed", "temperature", "top_p", "logprobs"])
def test_an_echo_of_the_question_is_no_refusal(field: str) -> None:
    question = f"What is the {field} of `{field}`?"
    message = json.dumps({"error": {"message": f"cannot answer {question!r}"}})
    with FakeOpenAI(ALL_HONOURED) as server:
        policy = open_policy(server.url, "fake", prompt_template=question + " {question}\n")
        assert policy.capabilities.refused == ()
        server.failures.append((400, {}, message))
        assert type(ask(policy)) is BadResponse
        server.bodies.clear()
        assert isinstance(ask(policy), Answer)
        policy.close()
    assert {"seed", "temperature", "top_p"} <= set(server.bodies[0])


def test_an_echo_while_probing_is_no_refusal() -> None:
    question = "Tell the seed and the temperature"
    echo = json.dumps({"detail": [{"loc": ["body", "prompt"], "input": {"seed": 1, "n": 2}}]})
    for message in (echo, f"bad text: {question}"):
        with FakeOpenAI(ALL_HONOURED) as server:
            server.failures += [(400, {}, message)]
            options = {"prompt_template": question + " {question}\n", "api": "completions"}
            with pytest.raises(BadResponse):
                open_policy(server.url, "fake", **options)
            assert len(server.bodies) == 1


def test_extra_fields_are_sent_and_own_ones_are_not_theirs() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json={"choices": [{"text": "One.", "stop_reason": "\n"}]})

    bodies: list[dict[str, Any]] = []
    policy = open_policy(
        "http://server", "m", capabilities=KNOWN, extra_body={"top_k": 20},
        transport=httpx.MockTransport(handle),
    )  # fmt: skip
    ask(policy)
    policy.close()
    assert bodies[0]["top_k"] == 20
    for extra in ({"temperature": 0.3}, {"max_tokens": 5}, {"a": float("nan")}, {"a": {1, 2}}):
        with pytest.raises(ConfigError, match="--extra-body"):
            ServerOptions(extra_body=extra)
