"""`stepnav serve`: search behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from stepnav import build
from stepnav.build.folders import VLLM, is_server
from stepnav.cli.console import stderr
from stepnav.cli.model_options import ModelOptions
from stepnav.cli.options import Reward
from stepnav.core.errors import BackendError, ConfigError
from stepnav.core.requests import REWARD
from stepnav.core.strategy import Strategy
from stepnav.policies.openai.backend import OpenAIPolicy
from stepnav.remote.connection import with_version
from stepnav.remote.options import ServerOptions
from stepnav.serve.house import House, Limits, Server, chat_task
from stepnav.tasks.task import Task

KEYS_VARIABLE = "STEPNAV_API_KEYS"
_USUAL = Limits()
_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """What requests may take."""

    active: Annotated[int, typer.Option(min=1, help="Searches that run at once.")] = _USUAL.active
    queue: Annotated[int, typer.Option(min=0, help="Requests that wait besides.")] = _USUAL.queue
    budget: Annotated[
        int | None,
        typer.Option(min=1, help="Generated tokens of a search whose request says nothing."),
    ] = None
    max_budget: Annotated[int, typer.Option(min=1, help="Most that any search may generate.")] = (
        _USUAL.max_budget_tokens
    )
    max_seconds: Annotated[
        float, typer.Option(help="Longest search; it ends with its best so far.")
    ] = _USUAL.max_seconds
    grace: Annotated[
        float, typer.Option(help="Seconds that searches have after the server is told to stop.")
    ] = _USUAL.grace_s
    max_body: Annotated[int, typer.Option(min=1, help="Most bytes of a request's body.")] = (
        _USUAL.max_body_bytes
    )

    def limits(self) -> Limits:
        """Return the limits.

        Raises:
          ConfigError: they contradict each other.
        """
        return Limits(
            active=self.active,
            queue=self.queue,
            budget_tokens=self.budget,
            max_budget_tokens=self.max_budget,
            max_seconds=self.max_seconds,
            grace_s=self.grace,
            max_body_bytes=self.max_body,
        )


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """Where API keys are."""

    keys_env: Annotated[
        str, typer.Option(metavar="NAME", help="Variable with API keys, separated by commas.")
    ] = KEYS_VARIABLE
    keys_file: Annotated[
        Path | None, typer.Option(help="File with API keys, one per line; requests must bring one.")
    ] = None

    def keys(self) -> tuple[str, ...]:
        """Return the API keys that are known.

        Raises:
          ConfigError: there are none where they should be.
        """
        if not re.fullmatch(r"[A-Za-z_]\w*", self.keys_env):  # it may be a key itself
            raise ConfigError(
                "--keys-env must name an environment variable, and this is no such name"
            )
        text = os.environ.get(self.keys_env, "").replace(",", "\n")
        if self.keys_env != KEYS_VARIABLE and not text.strip():
            raise ConfigError(
                f"--keys-env must name a variable that holds API keys; {self.keys_env} holds none"
            )
        if self.keys_file is not None:
            own = self.keys_file.read_text()
            if not own.strip():
                raise ConfigError(f"{self.keys_file} holds no API key; write one on each line")
            text += "\n" + own
        return tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens, and in how many processes."""

    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1
    socket_number: Annotated[int | None, typer.Option("--socket", hidden=True)] = None

    @property
    def is_parent(self) -> bool:
        """Whether this process only looks after others, to which it hands its socket."""
        return self.workers > 1 and self.socket_number is None

    def listen(self, *, is_open: bool) -> socket.socket:
        """Return the socket; `is_open` is whether no API key is asked for.

        Raises:
          ConfigError: the address cannot be used.
        """
        from stepnav.serve.server import open_socket

        if self.socket_number is not None:
            return socket.socket(fileno=self.socket_number)
        if self.host not in _LOCAL and is_open:
            stderr().print(
                f"note: {self.host} can be reached from outside, and no API key is asked for "
                "(--keys-file)",
                soft_wrap=True,
            )
        return open_socket(self.host, self.port)


def run(
    *,
    place: Place,
    task: Annotated[
        str | None,
        typer.Option(
            help="Whose prompts and answers: a benchmark's. [default: of a shipped policy its own, "
            "else plain conversation]"
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help="Of requests that ask for a search and name none. [default: hgs, without a reward "
            "model self_consistency]"
        ),
    ] = None,
    reward: Reward = None,
    model_name: Annotated[
        str | None, typer.Option(help="Name under which the policy is served. [default: its own]")
    ] = None,
    limit_options: LimitOptions,
    key_options: KeyOptions,
    traces: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps finished searches, for /traces and stepnav show."),
    ] = None,
    max_traces: Annotated[int, typer.Option(min=1, help="How many are kept.")] = 10_000,
    model_options: ModelOptions,
) -> None:
    """Serve search behind an OpenAI-compatible endpoint; alone, the shipped models.

    Examples:

      stepnav serve

      stepnav serve --policy http://localhost:8000/v1 --reward ./my-prm --traces traces
    """
    from stepnav.serve.server import make_server  # here: help is there without the extra

    limits, keys = limit_options.limits(), key_options.keys()
    listening = place.listen(is_open=not keys)
    if place.is_parent:
        _supervise(place.workers, listening)
        return
    chosen = None if strategy is None else build.parse_strategy(strategy)
    server = model_options.server(limits.active)
    benchmark = _task(task, model_options)
    with _open(model_options, benchmark, reward, server) as models:
        house = _house(models, model_options, benchmark, chosen, reward, server)
        house = replace(house, limits=limits, keys=keys, traces=traces, max_traces=max_traces)
        if model_name is not None:
            house = replace(house, model=_checked_name(model_name))
        for note in models.notes:
            stderr().print(f"note: {note}", soft_wrap=True)
        make_server(house, lambda: _tell_ready(house, listening)).run(sockets=[listening])


def _task(name: str | None, models: ModelOptions) -> Task:
    if name is not None:
        return build.load_task(name, sandbox=models.sandbox)
    policy = (models.policy or build.TYPED_TASK).removeprefix(VLLM)
    return build.load_task(policy, sandbox=models.sandbox) if _ships(policy) else chat_task()


def _ships(policy: str) -> bool:
    return policy.removeprefix(VLLM) in build.EMBEDDED_TASKS


def _open(
    options: ModelOptions, task: Task, reward: str | None, server: ServerOptions
) -> build.Models:
    """Return the models; a server is chatted with if it knows how to."""
    ships_reward = options.policy is None or _ships(options.policy)
    needs = build.strategy("hgs" if reward is not None or ships_reward else "cot")
    policy, scorer = options.choose(task, [needs], reward)
    task, _ = options.with_shots(task, policy)

    def opened(options: ModelOptions) -> build.Models:
        return options.open(policy=policy, reward=scorer, task=task, server=server, max_batch=192)

    if is_server(policy) and not options.chat:
        try:
            return opened(replace(options, chat=True))
        except BackendError as error:
            if error.status_code is None:
                raise
    return opened(options)


def _house(
    models: build.Models, options: ModelOptions, task: Task, chosen: Strategy | None, reward: str |
    None, server: ServerOptions,
) -> House:  # fmt: skip
    """Return what is served, with limits as usual."""
    policy = models.policy
    known = build.with_measured([build.strategy(name) for name in build.STRATEGIES], reward)
    strategies = {one.name: one for one in known}
    if chosen is not None:
        strategies[chosen.name] = chosen
    name, upstream, is_chatted = (
        Path((options.policy or build.TYPED_TASK).removeprefix(VLLM)).name,
        None,
        options.chat,
    )
    if isinstance(policy, OpenAIPolicy):
        name, is_chatted = policy.model or "default", policy.capabilities.api == "chat"
        url = with_version(options.policy or "")
        upstream = Server(url, name, server.api_key, server.timeout_s)
    has_reward = REWARD in models.by_name
    default = "hgs" if has_reward else "self_consistency"
    return House(
        model=_checked_name(name),
        task=task,
        models=models.by_name,
        strategies=strategies,
        default=default if chosen is None else chosen.name,
        reward=(reward or name) if has_reward else None,
        server=upstream,
        takes_context=is_chatted,
    )


def _checked_name(name: str) -> str:
    if not name.isprintable() or not name.strip():
        raise ConfigError(f"{name!r} is no name for a model; give one by --model-name")
    return name


def _supervise(workers: int, listening: socket.socket) -> None:
    """Run this command several times on one socket."""
    from stepnav.serve.server import run_workers

    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        command = [sys.executable, "-m", "stepnav", *sys.argv[1:]]
        run_workers(command, workers, listening)


def _tell_ready(house: House, listening: socket.socket) -> None:
    host, port, *_ = listening.getsockname()
    shown = f"[{host}]" if ":" in host else host
    stderr().print(
        f"serving {', '.join(house.served_models)} at http://{shown}:{port}/v1 (Ctrl-C ends)",
        soft_wrap=True,
    )
