"""Bodies of any kind: a valid answer or an error of the client's, never one of ours."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepnav.serve.app import make_app
from stepnav.serve.house import Limits
from tests.serve.processes import make_house

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
MODELS = [
    "m",
    "hgs-m",
    "cot-m",
    "beam-m",
    "self_consistency-m",
    "weighted_vote-m",
    "rebase-m",
    "dvts-m",
]
TURNS = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "user", "system", "assistant", "tool"]),
            "content": st.text(max_size=9) | JSON,
        }
    ),
    max_size=3,
)
OPTIONS = st.dictionaries(
    st.sampled_from(
        ["branching", "samples", "temperature", "max_tokens", "beam_size", "aggregation", "width"]
    ),
    st.integers(-1, 9) | st.floats() | st.sampled_from(["prod", "last", None, True]),
    max_size=2,
)
OWN = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(MODELS) | st.sampled_from(["hgs", "cot", "tot"]),
        "options": OPTIONS,
        "budget_tokens": st.integers(-1, 500),
        "max_seconds": st.floats(),
        "seed": st.integers(),
        "reward": st.just("r") | st.text(max_size=3),
        "trace": st.booleans(),
        "problem_id": st.text(max_size=3),
        "other": JSON,
    },
)
KNOWN = {
    "model": st.sampled_from(MODELS),
    "messages": TURNS,
    "prompt": st.text(max_size=9),
    "input": st.text(max_size=9),
    "stream": st.booleans(),
    "stream_options": st.just({"include_usage": True}),
    "n": st.integers(0, 4),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "max_tokens": st.integers(0, 99),
    "max_completion_tokens": st.integers(0, 99),
    "seed": st.integers(),
    "stepnav": OWN,
}
RARE = (
    "logprobs",
    "tools",
    "response_format",
    "echo",
    "best_of",
    "instructions",
    "user",
    "stop",
    "text",
)
USUAL = {
    "model": st.sampled_from(MODELS),
    "messages": st.just([{"role": "user", "content": "Two?"}]),
    "prompt": st.just("Two?"),
    "input": st.just("Two?"),
}
BODIES = st.one_of(
    st.fixed_dictionaries(USUAL, optional={name: KNOWN[name] for name in list(KNOWN)[4:]}),
    st.fixed_dictionaries({}, optional={name: kind | JSON for name, kind in KNOWN.items()}),
    st.fixed_dictionaries(USUAL, optional=dict.fromkeys(RARE, JSON)),
)  # fmt: skip
CONTENT = st.one_of(BODIES, BODIES, BODIES, JSON).map(json.dumps).map(str.encode) | st.binary(
    max_size=40
)
PATH = st.sampled_from(["/v1/chat/completions", "/v1/completions", "/v1/responses"])
HEADERS = st.dictionaries(
    st.sampled_from(["X-Stepnav-Budget", "X-Request-Timeout"]),
    st.sampled_from(["1", "50", "0", "x", "1e9"]),
    max_size=1,
)


@pytest.fixture(scope="module")
def post():
    """Return what sends a body to an application in this process."""
    loop = asyncio.new_event_loop()
    house = make_house(limits=Limits(max_budget_tokens=2000, max_seconds=5, max_count=9))
    app, service = make_app(house)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
    yield lambda path, content, headers: loop.run_until_complete(
        client.post(path, content=content, headers=headers, timeout=30)
    )
    loop.run_until_complete(client.aclose())
    loop.run_until_complete(service.close())
    for task in asyncio.all_tasks(loop):  # the streams' library leaves one that waits for ever
        task.cancel()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    for backend in house.models.values():
        backend.close()


def check(post, path, content, headers, caplog):
    caplog.clear()
    answer = post(path, content, headers)
    assert answer.status_code < 500, (content, answer.text)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    if answer.status_code != 200:
        error = answer.json()["error"]
        assert error["message"]
        assert set(error) == {"message", "type", "param", "code"}
    elif answer.headers["content-type"].startswith("text/event-stream"):
        events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
        if path == "/v1/responses":  # its last event says how it ended
            last = json.loads(events[-1])
            assert last["type"] in ("response.completed", "response.incomplete"), content
            return answer.status_code
        assert events[-1] == "[DONE]"
        assert all("error" not in json.loads(event) for event in events[:-1]), content
    else:
        answer.json()
    return answer.status_code


@given(PATH, CONTENT, HEADERS)
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_bodies_of_any_kind(post, caplog, path, content, headers):
    check(post, path, content, headers, caplog)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_twenty_thousand_bodies(post, caplog):
    seen = {200: 0}

    @given(PATH, CONTENT, HEADERS)
    @settings(max_examples=20_000, deadline=None, database=None)
    def fuzz(path, content, headers):
        status = check(post, path, content, headers, caplog)
        seen[status] = seen.get(status, 0) + 1

    fuzz()
    print(f"statuses of {sum(seen.values())} bodies: {seen}")
    assert seen[200] > 1000
