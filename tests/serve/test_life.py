"""What a server does when clients go away, time runs out, it is full, or it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from stepnav import build
from stepnav.cli.options.serving import KeyOptions, Place
from stepnav.core.errors import BackendDown, BackendError, ConfigError
from stepnav.policies.openai.backend import OpenAIPolicy
from stepnav.policies.openai.capabilities import Capabilities
from stepnav.remote.errors import error_of
from stepnav.run.traces import FILE_NAME, Traces, read_trace
from stepnav.serve.house import Limits, Server, chat_task
from stepnav.serve.upstream import http_proxy_for
from tests.policies.openai.fake_server import Behaviour, FakeOpenAI, open_policy
from tests.serve.processes import MESSAGES, make_house, process, serving, sleepy_policy, wait_until
from tests.serve.slow_upstream import SlowUpstream

BODY = {"model": "hgs-m", "messages": MESSAGES}
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_client_that_goes_away_ends_its_search_and_the_work_upstream(is_stream):
    with SlowUpstream() as upstream:
        policy = OpenAIPolicy(upstream.url, "m", capabilities=Capabilities(api="chat"))
        with serving(make_house(policy)) as (url, server):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(url + CHAT, json={**BODY, "stream": is_stream}, timeout=1)
            left = time.monotonic()
            wait_until(lambda: upstream.hung_up)
            assert (
                upstream.hung_up[0] - left < 5
            )  # a fraction of a second unless the machine is busy
            assert server.service.engine.num_open == 0
            assert "stepnav_left_total 1.0" in httpx.get(f"{url}/metrics").text
        policy.close()


def test_a_client_that_goes_away_hangs_up_a_passed_request():
    with SlowUpstream() as upstream:
        house = make_house(reward=None, server=Server(upstream.url, "m"))
        with serving(house) as (url, server):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(url + CHAT, json={**BODY, "model": "m"}, timeout=1)
            left = time.monotonic()
            wait_until(lambda: upstream.hung_up)
            assert (
                upstream.hung_up[0] - left < 5
            )  # a fraction of a second unless the machine is busy
            wait_until(lambda: server.service.num_passed == 0)


@pytest.mark.parametrize("way", ["header", "body", "server"])
def test_a_deadline_ends_with_the_best_so_far(way):
    headers = {"X-Request-Timeout": "1"} if way == "header" else {}
    body = {**BODY, "stepnav": {"max_seconds": 1}} if way == "body" else BODY
    limits = Limits(max_seconds=1 if way == "server" else 60, grace_s=1)
    with serving(make_house(sleepy_policy, limits=limits)) as (url, _):
        began = time.monotonic()
        answer = httpx.post(url + CHAT, json=body, headers=headers, timeout=20).json()
        assert 0.9 < time.monotonic() - began < 2
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["choices"][0]["message"]["content"].startswith("Step 0.")
    assert answer["stepnav"]["stop_reason"] == "budget"


def test_waiting_for_its_turn_counts_as_time():
    limits = Limits(active=1, grace_s=1)
    with serving(make_house(sleepy_policy, limits=limits)) as (url, _):
        first = threading.Thread(
            target=httpx.post, args=[url + CHAT],
            kwargs={"json": {**BODY, "stepnav": {"max_seconds": 7}}, "timeout": 20},
        )  # fmt: skip
        first.start()
        time.sleep(0.5)
        began = time.monotonic()
        answer = httpx.post(
            url + CHAT, json={**BODY, "stepnav": {"max_seconds": 1}}, timeout=20
        ).json()
        waited_s = time.monotonic() - began
        first.join()
    assert answer["choices"][0] | {"stepnav": 0} == {
        "index": 0, "finish_reason": "length", "logprobs": None, "stepnav": 0,
        "message": {"role": "assistant", "content": "", "refusal": None},
    }  # fmt: skip
    assert waited_s < 5  # while the first still runs


def test_a_full_server_says_when_to_come_again():
    limits = Limits(active=1, queue=1, max_seconds=3, grace_s=1)

    async def ask_all(url):
        async with httpx.AsyncClient(timeout=30) as client:
            return await asyncio.gather(*[client.post(url + CHAT, json=BODY) for _ in range(5)])

    with serving(make_house(sleepy_policy, limits=limits)) as (url, _):
        answers = asyncio.run(ask_all(url))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 3
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert refused[0].json()["error"]["type"] == "rate_limit_error"
    assert sum(answer.status_code == 200 for answer in answers) == 2


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_searches_end_with_their_best(tmp_path, number):
    (tmp_path / "mine.py").write_text(
        "import asyncio\n"
        "async def policy(question, steps, *, temperature):\n"
        "    await asyncio.sleep(0.2)\n"
        "    return f'Step {len(steps)}.\\n'\n"
    )
    own = f"{tmp_path}/mine.py:policy"
    with process("--policy", own, "--grace", "1", "--strategy", "cot") as (url, started):
        answers = []
        asked = threading.Thread(
            target=lambda: answers.append(
                httpx.post(
                    url + CHAT,
                    json={"model": "cot-mine.py:policy", "messages": MESSAGES},
                    timeout=30,
                )
            )
        )
        asked.start()
        time.sleep(1)
        started.send_signal(number)
        assert started.wait(10) == 0
        asked.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["stepnav"]["stop_reason"] == "budget"


def test_keys_are_asked_for_everywhere_but_at_the_door(caplog):
    caplog.set_level("DEBUG")
    with serving(make_house(keys=("secret-one", "secret-two"))) as (url, _):
        assert httpx.get(f"{url}/health").status_code == 200
        for path in ("/v1/models", "/metrics", "/traces/x", "/nowhere"):
            assert httpx.get(url + path).status_code == 401
        for key, status in (
            ("secret-one", 200),
            ("secret-two", 200),
            ("secret-on", 401),
            ("x", 401),
        ):
            headers = {"Authorization": f"Bearer {key}"}
            answer = httpx.post(url + CHAT, json=BODY, headers=headers)
            assert answer.status_code == status, key
        assert answer.json()["error"]["code"] == "invalid_api_key"
    assert "secret" not in caplog.text


@pytest.mark.parametrize("line", [b"a" * 2**16, b"X-A: b\r\n" * 2**13], ids=["long", "many"])
def test_headers_are_bounded(line):
    with serving(make_house(keys=("secret",))) as (url, _):
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: ")
            with pytest.raises(ConnectionError):
                client.sendall(line * 256)  # 16 MiB


def test_without_keys_a_server_here_takes_no_names_that_lead_here():
    """As a page of another site has one whose name it lets lead to this machine."""
    with serving(make_house(hosts=("localhost", "mine.example"))) as (url, _):
        for host, status in (
            *(("localhost:8080", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("LOCALHOST", 200)),
            *(("Mine.Example:443", 200), ("evil.example:8080", 403), ("[::1", 403)),
            *(("localhost.:80", 200), ("127.8.9.1", 200), ("10.0.0.1", 403)),
        ):
            headers = {"Host": host, "Origin": f"http://{host}"}
            answer = httpx.post(url + CHAT, json=BODY, headers=headers)
            assert answer.status_code == status, host
            assert status == 200 or "--allow-host" in answer.json()["error"]["message"]


def test_headers_that_come_at_once_are_bounded_too():
    with serving(make_house()) as (url, _):
        assert httpx.get(f"{url}/health", headers={"X-A": "a" * 15_000}).status_code == 200
        answer = httpx.get(f"{url}/health", headers={"X-A": "a" * 20_000})
        assert answer.status_code in (400, 431)  # 400 if it came in parts all the same


def test_by_which_names_a_server_may_be_called(monkeypatch, capsys):
    getaddrinfo = socket.getaddrinfo

    def hosts(address, *, is_open=True, **options):
        listening, found = Place(address, 0, **options).listen(is_open=is_open)
        listening.close()
        return found

    assert set(hosts("127.0.0.2")) == {"localhost", "127.0.0.2"}
    assert "mine.example" in hosts("127.0.0.1", allow_host=["Mine.Example"])
    assert hosts("127.0.0.1", is_open=False) == ()
    assert "outside" not in capsys.readouterr().err
    assert hosts("0.0.0.0") == ()
    assert "0.0.0.0 can be reached from outside" in capsys.readouterr().err
    for is_open in (True, False):
        assert "mine.example" in hosts("0.0.0.0", is_open=is_open, allow_host=["mine.example"])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: getaddrinfo("127.0.0.1", 0))
    capsys.readouterr()
    assert "vm" in hosts("VM")
    assert "outside" not in capsys.readouterr().err


def test_pages_of_other_sites_are_kept_out():
    with serving(make_house()) as (url, _):
        for origin, status in (("http://evil.example", 403), ("null", 403), (url, 200)):
            answer = httpx.post(url + CHAT, json=BODY, headers={"Origin": origin})
            assert answer.status_code == status


def test_a_client_that_takes_nothing_is_left(monkeypatch, caplog):
    monkeypatch.setattr("stepnav.serve.gate.SEND_S", 0.5)
    house = make_house(
        lambda question, steps, *, temperature: "x" * 20_000_000,
        reward=None,
        task=replace(chat_task(), extract=lambda text: None),
    )
    with serving(house) as (url, server):
        body = json.dumps({"model": "cot-m", "messages": MESSAGES, "stream": True}).encode()
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
            client.sendall(head % len(body) + body)
            wait_until(lambda: server.service.engine.num_open == 1)
            wait_until(lambda: len(server.server_state.tasks) == 0)
    assert "failed" not in caplog.text


def test_where_a_model_is_and_what_it_says_of_its_key_is_not_for_clients():
    def failing(question, steps, *, temperature):
        raise BackendDown("http://secret-host:8000 refused the API key")

    with serving(make_house(failing)) as (url, _):
        answer = httpx.post(url + CHAT, json={**BODY, "model": "cot-m"})
    assert answer.status_code == 502
    assert answer.headers["retry-after"] == "5"
    assert "secret" not in answer.text


def test_bodies_are_bounded_in_size_and_time():
    limits = Limits(max_body_bytes=1000, body_timeout_s=1, grace_s=1)
    with serving(make_house(limits=limits)) as (url, _):
        assert httpx.post(url + CHAT, content=b"x" * 1001).status_code == 413
        assert httpx.post(url + CHAT, content=(b"x" * 100 for _ in range(11))).status_code == 413
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
            )
            slow.settimeout(10)
            assert b"408" in slow.recv(100)


def test_an_idle_connection_is_kept_for_longer_than_clients_use_it():
    with serving(make_house()) as (url, _):
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
        for pause_s in (5.5, 0):
            connection.request("GET", "/health")
            assert connection.getresponse().read()
            opened = connection.sock
            time.sleep(pause_s)
        assert connection.sock is opened is not None
        connection.close()


def test_a_model_that_fails_is_a_gateway_error_and_the_server_goes_on():
    calls = []

    def failing(question, steps, *, temperature):
        calls.append(1)
        if len(calls) == 1:
            raise BackendError("the model is ill")
        return "#### 4"

    with serving(make_house(failing)) as (url, _):
        body = {**BODY, "model": "cot-m"}
        answers = [httpx.post(url + CHAT, json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [502, 200]
    assert "the model is ill" in answers[0].json()["error"]["message"]


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        ("This model's maximum context length is 9 tokens. However, you asked for 99.", True),
        ("top_p is not supported by this model", False),
    ],
)
def test_what_a_model_refuses_is_told_from_what_is_too_long(refusal, code):
    def refusing(question, steps, *, temperature):
        raise error_of(400, json.dumps({"error": {"message": refusal}}), "m")

    with serving(make_house(refusing)) as (url, _):
        answer = httpx.post(url + CHAT, json={**BODY, "model": "cot-m"})
    assert answer.status_code == 400
    expected = "context_length_exceeded" if code else "upstream_refused"
    assert answer.json()["error"]["code"] == expected


@pytest.mark.timeout(120)
def test_a_question_longer_than_the_context_of_a_model_here_says_so():
    task = build.load_task("plain")
    models = build.open_models(policy="plain", reward=None, task=task)
    house = make_house(reward=None, task=task)
    with serving(replace(house, models=models.by_name)) as (url, _):
        turns = [{"role": "user", "content": "What is 2 + 2? " * 2000}]
        answer = httpx.post(url + CHAT, json={"model": "cot-m", "messages": turns}, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_what_a_model_here_cannot_be_shown_is_the_clients_to_change():
    def refusing(question, steps, *, temperature):
        raise BackendError("no such turns", provider="local", status_code=400, code="unreadable")

    with serving(make_house(refusing)) as (url, _):
        answer = httpx.post(url + CHAT, json={**BODY, "model": "cot-m"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unreadable"


def test_a_model_server_that_is_started_again_is_used_again_and_no_search_is_lost():
    body = {"model": "self_consistency-m", "messages": MESSAGES}
    with FakeOpenAI(Behaviour(names_stop=True)) as fake:
        port = int(fake.url.rpartition(":")[2].partition("/")[0])
        policy = open_policy(fake.url, api="chat", backoff_s=0.3, max_retries=6)
    house = make_house(policy, reward=None, server=Server(fake.url, "fake"))
    with serving(house) as (url, _):
        answers = []
        asked = threading.Thread(
            target=lambda: answers.append(httpx.post(url + CHAT, json=body, timeout=60))
        )
        asked.start()
        time.sleep(0.5)
        assert httpx.post(url + CHAT, json={**body, "model": "m"}, timeout=20).status_code == 502
        with FakeOpenAI(Behaviour(names_stop=True), port=port):
            asked.join(60)
            assert (
                httpx.post(url + CHAT, json={**body, "model": "m"}, timeout=20).status_code == 200
            )
    assert answers[0].status_code == 200
    assert answers[0].json()["stepnav"]["stop_reason"] == "finished"


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_an_engine_that_breaks_tells_who_waits_and_starts_again(error, caplog):
    def breaking(timeout_s):
        raise error

    house = make_house(sleepy_policy)
    with serving(house) as (url, server):
        broken = server.service.engine._driver
        broken.step = breaking
        assert httpx.post(url + CHAT, json=BODY, timeout=10).status_code == 500
        answer = httpx.post(url + CHAT, json={**BODY, "stepnav": {"max_seconds": 1}}, timeout=10)
        assert answer.status_code == 200
    assert error.__name__ in caplog.text


@pytest.mark.parametrize("part", ["policy", "reward", "task"])
def test_code_that_ends_the_process_fails_one_search_and_no_other(part):
    def ending(name):
        def may_end(question, value):
            if part == name and "END" in question:
                sys.exit(3)
            return value

        return may_end

    house = make_house(
        lambda question, steps, *, temperature: ending("policy")(question, f"#### {question}"),
        lambda question, steps: ending("reward")(question, [0.9] * len(steps)),
        task=replace(chat_task(), extract=lambda text: ending("task")(text, text)),
    )
    with serving(house) as (url, _):

        def ask(question):
            turns = [{"role": "user", "content": question}]
            return httpx.post(url + CHAT, json={**BODY, "messages": turns}, timeout=20)

        failed = ask("END")
        assert failed.status_code == (500 if part == "task" else 502)
        assert "tried to end the process" in failed.json()["error"]["message"]
        assert ask("What is 2 + 2?").status_code == 200
        assert httpx.get(f"{url}/health").status_code == 200


def test_a_search_that_cannot_be_kept_is_answered(monkeypatch, caplog):
    with serving(make_house()) as (url, server):
        monkeypatch.setattr(server.service.engine, "_keep", lambda result: 1 / 0)
        assert httpx.post(url + CHAT, json=BODY, timeout=10).status_code == 200
    assert "a finished search was not kept" in caplog.text


def test_a_server_whose_searches_have_died_says_so():
    with serving(make_house()) as (url, server):
        server.service.engine.close()
        answer = httpx.get(f"{url}/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "dead"})


@pytest.mark.parametrize(
    ("behaviour", "status", "words"),
    [
        ("down", 502, "cannot be reached"),
        ("html", 502, "text/html"),
        ("odd bytes", 502, "text/h?"),
        ("hangs up", 502, "cannot be reached"),
    ],
)
def test_a_broken_model_server_is_said_to_be(behaviour, status, words):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        upstream = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        if behaviour != "down":
            listening.listen()
        page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"

        def answer_once():
            for _ in range(2):
                connection, _ = listening.accept()
                connection.recv(10_000)
                if behaviour == "html":
                    connection.sendall(page)
                elif behaviour == "odd bytes":
                    connection.sendall(page.replace(b"/html", b"/h\xff"))
                connection.close()

        thread = threading.Thread(target=answer_once, daemon=True)
        if behaviour != "down":
            thread.start()
        with serving(make_house(reward=None, server=Server(upstream, "m"))) as (url, _):
            answer = httpx.post(url + CHAT, json={**BODY, "model": "m"}, timeout=20)
    assert answer.status_code == status
    assert answer.headers["retry-after"] == "5"
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize("key", [None, "right"])
def test_a_passed_request_goes_through_the_proxy_and_takes_no_login_of_netrc(
    key, tmp_path, monkeypatch
):
    (tmp_path / "netrc").write_text("machine model.invalid login me password netrc-secret\n")
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer_once():
            connection, _ = listening.accept()
            while b'"m"' not in b"".join(seen):
                seen.append(connection.recv(10_000))
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            )
            connection.close()

        thread = threading.Thread(target=answer_once, daemon=True)
        thread.start()
        for name, value in (
            ("NETRC", str(tmp_path / "netrc")),
            ("HTTP_PROXY", f"http://user:word@127.0.0.1:{listening.getsockname()[1]}"),
            ("http_proxy", f"http://user:word@127.0.0.1:{listening.getsockname()[1]}"),
            ("NO_PROXY", "127.0.0.1"),
            ("no_proxy", "127.0.0.1"),
        ):
            monkeypatch.setenv(name, value)
        model_server = Server("http://model.invalid/v1", "m", key)
        with serving(make_house(reward=None, server=model_server)) as (url, _):
            assert httpx.post(url + CHAT, json={**BODY, "model": "m"}, timeout=20).json() == {}
        thread.join(20)
    head = b"".join(seen).decode().partition("\r\n\r\n")[0]
    assert head.startswith("POST http://model.invalid/v1/chat/completions ")
    assert "\r\nProxy-Authorization: Basic dXNlcjp3b3Jk" in head
    sent = [line for line in head.splitlines() if line.startswith("Authorization")]
    assert sent == ([] if key is None else [f"Authorization: Bearer {key}"])


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"http_proxy": "p:1"}, "http://p:1"),
        ({"http_proxy": "http://p:1"}, "http://p:1"),
        ({"https_proxy": "http://p:1"}, None),
        ({"all_proxy": "https://p:1"}, "https://p:1"),
        ({"http_proxy": "http://p:1", "no_proxy": "model"}, None),
        ({"http_proxy": "http://p:1", "no_proxy": "model:8000"}, None),
        ({"http_proxy": "http://p:1", "no_proxy": "model:8001"}, "http://p:1"),
        ({"http_proxy": "http://p:1", "no_proxy": "*"}, None),
        ({"http_proxy": "http://p:1", "no_proxy": ".model"}, None),
        ({"http_proxy": "http://p:1", "no_proxy": "x, http://model"}, None),
        ({"http_proxy": "http://p:1", "no_proxy": "http://model:8000"}, None),
        ({"http_proxy": "http://p:1", "no_proxy": "https://model"}, "http://p:1"),
    ],
    ids=str,
)
def test_which_proxy_the_environment_names(variables, expected, monkeypatch):
    set_proxies(monkeypatch, **variables)
    assert http_proxy_for("http://model:8000/v1") == expected
    monkeypatch.setenv("http_proxy", "socks5://p:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(ConfigError, match="through a proxy of socks5"):
        http_proxy_for("http://model:8000/v1")


@pytest.mark.parametrize("listed", ["::1", "[::1]", "[::1]:8000"])
def test_an_address_with_colons_needs_no_proxy(listed, monkeypatch):
    set_proxies(monkeypatch, http_proxy="http://p:1", no_proxy=listed)
    assert http_proxy_for("http://[::1]:8000/v1") is None


def test_searches_take_the_proxy_that_passed_requests_take(monkeypatch):
    """The fake server is a proxy too: it answers whatever host it is asked for."""
    with FakeOpenAI(Behaviour()) as fake:
        set_proxies(monkeypatch, http_proxy=fake.url.removesuffix("/v1"))
        open_policy("http://model.invalid/v1", api="chat").close()
        set_proxies(monkeypatch, http_proxy=fake.url.removesuffix("/v1"), no_proxy=".model.invalid")
        assert http_proxy_for("http://model.invalid/v1") is None
        with pytest.raises(BackendDown, match="cannot reach"):
            open_policy("http://model.invalid/v1", api="chat")


def set_proxies(monkeypatch, **variables):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_traces_are_bounded_and_a_damaged_folder_is_refused(tmp_path):
    with serving(make_house(traces=tmp_path, max_traces=3)) as (url, server):
        ids = [httpx.post(url + CHAT, json=BODY).json()["stepnav"]["trace"] for _ in range(5)]
        quiet = httpx.post(url + CHAT, json={**BODY, "stepnav": {"trace": False}}).json()
        assert quiet["stepnav"]["trace"] is None
        assert read_trace(tmp_path, ids[0]) is not None
    server.service._traces = None
    traces = Traces(tmp_path, 3)
    traces.add(read_trace(tmp_path, ids[4]))
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as database:
        assert database.execute("SELECT COUNT(*) FROM results").fetchone()[0] == 3
    assert read_trace(tmp_path, ids[0]) is None
    assert read_trace(tmp_path, ids[4]) is not None
    traces.close()


BAD_OPTIONS = [
    (["--strategy", "hgs", "--policy", "FAKE"], "needs a reward model"),
    (["--strategy", "nothing"], "no strategy is called 'nothing'"),
    (["--policy", "http://127.0.0.1:1/v1"], "cannot reach http://127.0.0.1:1/v1"),
    (["--budget", "0"], "greater than or equal to 1"),
    (["--max-seconds", "nan"], "--max-seconds must be above 0"),
    (["--budget", "200000"], "must not be above the largest one (100000)"),
    (["--keys-file", "/nowhere"], "/nowhere"),
    (["--keys-env", "sk-123"], "this is no such name"),
    (["--model-name", ""], "is no name for a model"),
    (["--allow-host", "mine:80"], "--allow-host must be a name without a port (got 'mine:80')"),
    (["--grace", "inf"], "--grace must be at most 86400"),
    (["--grace", "1e10"], "--grace must be at most 86400"),
    (["--keys-file", sys.executable], "are not UTF-8 text"),
    (["--host", "a..b"], "cannot listen on a..b:0"),
    (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid"),
]


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS, ids=lambda value: str(value)[:40])
def test_bad_options_are_one_line(options, words):
    with FakeOpenAI(Behaviour()) as fake:
        options = [fake.url if option == "FAKE" else option for option in options]
        ended = subprocess.run(
            [sys.executable, "-m", "stepnav", "serve", "--port", "0", *options],
            capture_output=True, text=True, timeout=100,
        )  # fmt: skip
    assert ended.returncode == 2
    assert words in ended.stderr
    said = ended.stderr.strip().splitlines()
    assert [line for line in said if not line.startswith("note: ")] == said[-1:]


def test_keys_of_the_environment_that_are_no_text(monkeypatch):
    monkeypatch.setitem(os.environb, b"STEPNAV_API_KEYS", b"\xff")
    with pytest.raises(ConfigError, match="are not UTF-8 text"):
        KeyOptions().keys()


def test_a_port_in_use_is_said_before_anything_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "stepnav", "serve", "--port", port],
            capture_output=True,
            text=True,
        )
    assert ended.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert json.dumps(ended.stdout) == '""'


@pytest.mark.server
def test_workers_share_a_port_traces_and_metrics(tmp_path):
    """Each request is its own connection, so that any of the processes may take it."""
    (tmp_path / "mine.py").write_text(
        "import os\ndef policy(question, steps, *, temperature):\n    return f'#### "
        "{os.getpid()}'\n"
    )
    options = [
        "--policy",
        f"{tmp_path}/mine.py:policy",
        "--traces",
        str(tmp_path),
        "--workers",
        "2",
    ]
    with process(*options) as (url, started):
        wait_until(lambda: len(children(started.pid)) == 2)
        body = {"model": "cot-mine.py:policy", "messages": MESSAGES}
        seen, traces, end = set(), [], time.monotonic() + 60
        while len(seen) < 2 and time.monotonic() < end:
            answer = httpx.post(url + CHAT, json=body, timeout=30).json()
            seen.add(int(answer["stepnav"]["answer"]))
            traces.append(answer["stepnav"]["trace"])
        assert seen == children(started.pid)
        assert all(httpx.get(f"{url}/traces/{trace}").status_code == 200 for trace in traces)
        told = httpx.get(f"{url}/metrics").text
        assert f'{{stop_reason="finished",strategy="cot"}} {len(traces)}.0' in told
        victim = min(seen)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(children(started.pid) - {victim}) == 2)  # it is started again
        started.send_signal(signal.SIGTERM)
        assert started.wait(30) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in seen)


@pytest.mark.server
def test_workers_that_stop_refuse_who_comes_and_end_what_they_have(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import asyncio\n"
        "async def policy(question, steps, *, temperature):\n"
        "    await asyncio.sleep(3)\n"
        "    return '#### 4'\n"
    )
    with process("--policy", f"{tmp_path}/mine.py:policy", "--workers", "2") as (url, started):
        body, answers = {"model": "cot-mine.py:policy", "messages": MESSAGES}, []
        asked = threading.Thread(
            target=lambda: answers.append(httpx.post(url + CHAT, json=body, timeout=60))
        )
        asked.start()
        wait_until(lambda: 'stepnav_open{kind="running"} 1.0' in httpx.get(f"{url}/metrics").text)
        started.send_signal(signal.SIGTERM)

        def is_refused():
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))).close()
                return False
            return True

        wait_until(is_refused)
        assert not answers
        asked.join()
    assert answers[0].status_code == 200


@pytest.mark.server
def test_what_was_open_in_a_worker_that_was_killed_is_open_no_longer(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import os, pathlib, time\n"
        "def policy(question, steps, *, temperature):\n"
        "    (pathlib.Path(__file__).parent / 'pid').write_text(str(os.getpid()) + '.')\n"
        "    time.sleep(600)\n"
    )
    with process("--policy", f"{tmp_path}/mine.py:policy", "--workers", "2") as (url, _):
        body = {"model": "cot-mine.py:policy", "messages": MESSAGES}

        def ask():
            with contextlib.suppress(httpx.TransportError):
                httpx.post(url + CHAT, json=body, timeout=60)

        def is_open(count):
            with contextlib.suppress(httpx.TransportError):  # it reached the one that was killed
                return f'stepnav_open{{kind="running"}} {count}' in metrics()

        def metrics():
            return httpx.get(f"{url}/metrics").text

        asked = threading.Thread(target=ask)
        asked.start()
        wait_until(lambda: is_open(1.0))
        noted = tmp_path / "pid"
        wait_until(lambda: noted.exists() and noted.read_text().endswith("."))
        os.kill(int(noted.read_text().strip(".")), signal.SIGKILL)
        asked.join()
        wait_until(lambda: is_open(0.0))


def children(pid):
    """Return the processes that a process has started."""
    return {int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
