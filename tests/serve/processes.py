"""`stepnav serve` as a process of its own, and a server in a thread over any models."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from stepnav import build
from stepnav.build.plugins import as_policy, as_reward
from stepnav.serve.house import House, Limits, chat_task
from stepnav.serve.server import HttpServer, make_server, open_socket

MESSAGES = [{"role": "user", "content": "What is 2 + 2?"}]


@contextlib.contextmanager
def process(*options: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command and yield its URL without "/v1", and its process."""
    command = [sys.executable, "-m", "stepnav", "serve", "--port", "0", *options]
    started = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    assert started.stderr is not None
    said, url = [], None
    for line in started.stderr:
        said.append(line)
        if found := re.search(r" at (http://\S+)/v1", line):
            url = found[1]
            break
    assert url is not None, "".join(said)
    rest = threading.Thread(target=started.stderr.read, daemon=True)  # so that it never fills
    rest.start()
    try:
        yield url, started
    finally:
        started.terminate()
        try:
            started.wait(40)
        finally:
            started.kill()
            rest.join()
            started.stderr.close()


@contextlib.contextmanager
def serving(house: House) -> Iterator[tuple[str, HttpServer]]:
    """Serve in a thread; yield its URL without "/v1", and the server."""
    listening = open_socket("127.0.0.1", 0)
    ready = threading.Event()
    server = make_server(house, ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    thread.start()
    try:
        assert ready.wait(20)
        yield url, server
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()
        for backend in house.models.values():
            backend.close()


def wait_until(condition: Callable[[], Any], limit_s: float = 60.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def steps_policy(question: str, steps: Any, *, temperature: float) -> str:
    """Answer in two lines."""
    return f"It is {len(question)}.\n" if not steps else f"#### {len(question)}"


async def sleepy_policy(question: str, steps: Any, *, temperature: float) -> str:
    """Take a third of a second for a step, which is never the last."""
    await asyncio.sleep(0.3)
    return f"Step {len(steps)}.\n"


def always_right(question: str, steps: Any) -> list[float]:
    """Return P(right) of each step."""
    return [0.9] * len(steps)


def make_house(policy: Any = steps_policy, reward: Any = always_right, **fields: Any) -> House:
    """Return a house over functions; a policy that is a backend stays one."""
    models = {"policy": as_policy(policy)}
    if reward is not None:
        models["reward"] = as_reward(reward)
    return House(
        **{
            "model": "m", "task": chat_task(), "models": models,
            "strategies": {name: build.strategy(name) for name in build.STRATEGIES},
            "default": "hgs" if reward is not None else "self_consistency",
            "reward": None if reward is None else "r", "limits": Limits(grace_s=1), **fields,
        }
    )  # fmt: skip
