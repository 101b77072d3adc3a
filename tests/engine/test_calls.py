"""What the queue of plain functions makes of functions that fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from stepnav.core.errors import BackendError
from stepnav.engine.calls import CallQueue
from tests.forks import is_true_in_fork


class Panic(BaseException):
    """What a library in Rust raises."""


@pytest.fixture
def calls() -> Iterator[CallQueue]:
    queue = CallQueue("policy function")
    yield queue
    queue.close()


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (SystemExit(3), "the policy function tried to end the process: SystemExit: '3'"),
        (KeyboardInterrupt(), "the policy function tried to end the process: KeyboardInterrupt"),
        (GeneratorExit(), "the policy function raised GeneratorExit"),
        (Panic("no"), "the policy function raised Panic: 'no'"),
        (ValueError("no"), "the policy function raised ValueError: 'no'"),
        (BackendError("it is ill"), "it is ill"),
    ],
    ids=repr,
)
def test_nothing_that_a_function_raises_ends_who_asked_it(calls, error, words, is_async):
    def failing():
        raise error

    async def failing_later():
        raise error

    calls.submit(1, failing_later if is_async else failing)
    ((ticket, answer),) = calls.poll(10)
    assert ticket == 1
    assert isinstance(answer, BackendError)
    assert str(answer).startswith(words)
    calls.submit(2, lambda: "still there")
    assert calls.poll(10) == [(2, "still there")]


request_of: ContextVar[str] = ContextVar("request_of", default="nobody")


@pytest.mark.parametrize("is_async", [False, True])
def test_functions_see_the_callers_context_variables(calls, is_async):
    async def later():
        return request_of.get()

    token = request_of.set("Mia")
    calls.submit(1, later if is_async else request_of.get)
    request_of.reset(token)
    assert calls.poll(10) == [(1, "Mia")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("is_async", [False, True])
def test_a_fork_may_go_on_with_it(calls, is_async):
    async def later():
        return 4

    call = later if is_async else lambda: 4
    calls.submit(1, call)
    assert calls.poll(10) == [(1, 4)]

    def is_answered() -> bool:
        calls.submit(1, call)
        return calls.poll(10) == [(1, 4)]

    assert is_true_in_fork(is_answered)
