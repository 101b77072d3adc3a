"""What a server in between costs: the latency that it adds to a request that is not searched.

A model server that answers after 200 ms is asked at a fixed rate by many clients, directly and
through `stepnav serve`, in turns. With `--minutes` also a load of mixed requests (searches,
streams, clients that go away, bad bodies, deadlines), during which the server's memory is watched.

    python -m benchmarks.serve
    python -m benchmarks.serve --minutes 20
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

ANSWER_S = float(os.environ.get("ANSWER_S", 0.2))
SOLUTION = "Three and four are seven.\nSeven less two is five.\n#### 5"


async def run_model_server() -> None:
    """Be a model server that answers after `ANSWER_S`; prints its port, and counts at /counts."""
    counts = Counter[str]()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = re.search(rb"content-length: (\d+)", head.lower())
                if found is None:
                    said = dict(counts) if b"/counts" in head else MODELS
                else:
                    said = answer_to(json.loads(await reader.readexactly(int(found[1]))))
                    counts["open"] += 1
                    await asyncio.sleep(ANSWER_S)
                    counts["open"] -= 1
                    counts["left"] += reader.at_eof()
                content = json.dumps(said).encode()
                writer.write(b"%s\r\nContent-Length: %d\r\n\r\n%s" % (OK, len(content), content))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json"
MODELS = {"object": "list", "data": [{"id": "bench", "object": "model"}]}


def answer_to(body: dict[str, Any]) -> dict[str, Any]:
    """Return an answer in OpenAI's form."""
    text, stops = SOLUTION, body.get("stop") or []
    given = body["messages"][-1]
    if given["role"] == "assistant" and SOLUTION.startswith(given["content"]):
        text = SOLUTION[len(given["content"]) :]
    stop = next((stop for stop in stops if stop in text), None)
    text = text if stop is None else text.partition(stop)[0]
    choice = {"index": 0, "finish_reason": "stop", "stop_reason": stop}
    choice["message"] = {"role": "assistant", "content": text}
    tokens = len(text.split())
    usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}
    return {"object": "chat.completion", "choices": [choice] * body.get("n", 1), "usage": usage}


@contextlib.contextmanager
def process(*arguments: str, pattern: str) -> Iterator[tuple[str, int]]:
    """Run a module; yield what the pattern finds in what it prints first, and its process id."""
    command = [sys.executable, "-m", *arguments]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert started.stdout is not None
    said = ""
    for line in started.stdout:
        said += line
        if found := re.search(pattern, line):
            break
    else:
        raise RuntimeError(said)
    try:
        yield found[1], started.pid
    finally:
        started.terminate()
        started.communicate()


@contextlib.contextmanager
def servers() -> Iterator[tuple[str, str, int]]:
    """Run a model server and `stepnav serve` before it; yield URLs, and its process id."""
    with process("benchmarks.serve", "--model-server", pattern=r"(\d+)") as (port, _):
        direct = f"http://127.0.0.1:{port}"
        serve = ("stepnav", "serve", "--port", "0", "--policy", f"{direct}/v1")
        with process(*serve, pattern=r" at (http://\S+)/v1") as (through, pid):
            yield direct, through, pid


async def latencies(url: str, clients: int, rate: float, count: int) -> list[float]:
    """Return the seconds of so many requests, sent at a fixed rate by so many clients in turn."""
    body = {"model": "bench", "messages": [{"role": "user", "content": "What is it?"}]}
    async with contextlib.AsyncExitStack() as stack:
        pool = [
            await stack.enter_async_context(httpx.AsyncClient(timeout=30)) for _ in range(clients)
        ]

        async def ask(number: int) -> float:
            await asyncio.sleep(number / rate)
            began = time.perf_counter()
            answer = await pool[number % clients].post(f"{url}/v1/chat/completions", json=body)
            answer.raise_for_status()
            return time.perf_counter() - began

        return await asyncio.gather(*(ask(number) for number in range(count)))


async def added_latency(clients: int, rate: float, rounds: int, per_round: int) -> None:
    """Print what the server adds: medians and 95th percentiles, direct and through it, in turns."""
    found: dict[str, list[float]] = {"direct": [], "through": []}
    with servers() as (direct, through, pid):
        await latencies(through, clients, rate, clients)  # connections are made
        busy_s = 0.0
        for _ in range(rounds):
            found["direct"] += await latencies(direct, clients, rate, per_round)
            busy_s -= processor_s(pid)
            found["through"] += await latencies(through, clients, rate, per_round)
            busy_s += processor_s(pid)
    for name, seconds in found.items():
        cuts = statistics.quantiles(seconds, n=20)
        shares = f"median {1000 * cuts[9]:.2f} ms, 95% below {1000 * cuts[18]:.2f} ms"
        print(f"{name:8} {shares}, {len(seconds)} requests")
    added = statistics.median(found["through"]) - statistics.median(found["direct"])
    print(f"computed {1000 * busy_s / len(found['through']):.2f} ms a request")
    print(f"added    median {1000 * added:.2f} ms at {clients} clients, {rate:g} requests a second")


async def load(minutes: float, clients: int) -> None:
    """Print what a load of mixed requests did: statuses, memory, work left upstream."""
    statuses, memory = Counter[str](), list[int]()
    with servers() as (direct, url, pid):
        end = time.monotonic() + 60 * minutes

        async def client(number: int) -> None:
            draw = random.Random(number)
            async with httpx.AsyncClient(base_url=url, timeout=120) as http:
                while time.monotonic() < end:
                    kind = draw.choice(list(MIXED))
                    try:
                        said = await MIXED[kind](http, draw)
                    except httpx.TransportError as error:  # a busy machine may time out
                        said = type(error).__name__
                    statuses[f"{kind} {said}"] += 1

        async def watch() -> None:
            while time.monotonic() < end:
                memory.append(resident_kib(pid))
                await asyncio.sleep(max(1.0, 60 * minutes / 40))

        await asyncio.gather(watch(), *(client(number) for number in range(clients)))
        await asyncio.sleep(1)
        print(f"model server 1 s after the end: {httpx.get(f'{direct}/counts').json()}")
    for name, count in sorted(statuses.items()):
        print(f"{count:7} {name}")
    quarter = max(1, len(memory) // 4)
    first, last = statistics.mean(memory[quarter : 2 * quarter]), statistics.mean(memory[-quarter:])
    print(f"resident MiB: second quarter {first / 1024:.1f}, last quarter {last / 1024:.1f}")


def processor_s(pid: int) -> float:
    """Return the seconds that a process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    """Return a process' resident memory."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1])  # type: ignore[index]


async def send(http: httpx.AsyncClient, **fields: Any) -> str:
    """Return the status of a request."""
    body = {
        "model": "self_consistency-bench",
        "messages": [{"role": "user", "content": "What is it?"}],
    }
    body["stepnav"] = {"options": {"samples": 4}}
    return str((await http.post("/v1/chat/completions", json={**body, **fields})).status_code)


async def stream(http: httpx.AsyncClient, draw: random.Random) -> str:
    """Read a stream to its end."""
    body = {
        "model": "cot-bench",
        "messages": [{"role": "user", "content": "What is it?"}],
        "stream": True,
    }
    async with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = [line async for line in answer.aiter_lines()]
    return f"{answer.status_code} {'whole' if 'data: [DONE]' in lines else 'cut'}"


async def leave(http: httpx.AsyncClient, draw: random.Random) -> str:
    """Go away before the answer."""
    with contextlib.suppress(httpx.TimeoutException):
        body = {"model": "cot-bench", "messages": [{"role": "user", "content": "What is it?"}]}
        patience = httpx.Timeout(30, read=draw.uniform(0.01, 0.19))
        await http.post("/v1/chat/completions", json=body, timeout=patience)
    return "left"


MIXED: dict[str, Callable[[httpx.AsyncClient, random.Random], Awaitable[str]]] = {
    "search": lambda http, draw: send(http),
    "passed": lambda http, draw: send(http, model="bench", stepnav=None),
    "stream": stream,
    "client that goes away": leave,
    "bad body": lambda http, draw: send(http, messages=draw.choice([[], 3, "x"])),
    "deadline": lambda http, draw: send(http, stepnav={"max_seconds": draw.uniform(0.01, 0.3)}),
}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--model-server", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=500, help="of each kind in a round")
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="of the mixed load; 0 leaves it out"
    )
    given = parser.parse_args()
    if given.model_server:
        asyncio.run(run_model_server())
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    asyncio.run(added_latency(given.clients, given.rate, given.rounds, given.requests))
    if given.minutes:
        asyncio.run(load(given.minutes, given.clients))


if __name__ == "__main__":
    main()
