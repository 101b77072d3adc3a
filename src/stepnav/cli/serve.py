"""`stepnav serve`: search behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from stepnav import build
from stepnav.build.folders import VLLM, is_server
from stepnav.build.models import unshared
from stepnav.cli.console import tell, tell_notes
from stepnav.cli.options.chosen import Chosen
from stepnav.cli.options.models import ModelOptions
from stepnav.cli.options.serving import KeyOptions, LimitOptions, Place, TraceOptions
from stepnav.cli.options.shared import Reward
from stepnav.core.errors import BackendError, ConfigError
from stepnav.core.requests import POLICY, REWARD
from stepnav.core.strategy import Strategy
from stepnav.policies.openai.backend import OpenAIPolicy
from stepnav.remote.connection import with_version
from stepnav.serve.house import House, Server, chat_task
from stepnav.tasks.task import Task


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
    also_reward: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=REWARD",
            help="One more reward model, which requests ask for by this name; may be repeated.",
        ),
    ] = None,
    model_name: Annotated[
        str | None, typer.Option(help="Name under which the policy is served. [default: its own]")
    ] = None,
    limit_options: LimitOptions,
    key_options: KeyOptions,
    trace_options: TraceOptions,
    model_options: ModelOptions,
) -> None:
    """Serve search behind an OpenAI-compatible endpoint; alone, the shipped models.

    Examples:

      stepnav serve

      stepnav serve --policy http://localhost:8000/v1 --reward ./my-prm --traces traces
    """
    from stepnav.serve.server import make_server  # here: help is there without the extra

    limits, keys = limit_options.limits(), key_options.keys()
    listening, hosts = place.listen(is_open=not keys)
    if place.is_parent:
        _supervise(place.workers, listening)
        return
    chosen = None if strategy is None else build.parse_strategy(strategy)
    benchmark = _task(task, model_options)
    with contextlib.ExitStack() as stack:
        used = _choose(model_options, benchmark, reward, limits.active)
        models = stack.enter_context(_open(used))
        house = _house(models, used, benchmark, chosen, reward, model_name)
        house = replace(house, limits=limits, keys=keys, hosts=hosts, **asdict(trace_options))
        house = _with_rewards(house, also_reward or [], model_options, stack)
        tell_notes(models.notes)
        make_server(house, lambda: _tell_ready(house, listening)).run(sockets=[listening])


def _task(name: str | None, models: ModelOptions) -> Task:
    if name is not None:
        return build.load_task(name, sandbox=models.sandbox)
    policy = (models.policy or build.TYPED_TASK).removeprefix(VLLM)
    return build.load_task(policy, sandbox=models.sandbox) if _ships(policy) else chat_task()


def _ships(policy: str) -> bool:
    return policy.removeprefix(VLLM) in build.EMBEDDED_TASKS


def _choose(options: ModelOptions, task: Task, reward: str | None, active: int) -> Chosen:
    """Return the models to open, with a reward model if one is named or ships."""
    ships_reward = options.policy is None or _ships(options.policy)
    needs = build.strategy("hgs" if reward is not None or ships_reward else "cot")
    return Chosen.of(options, task, [needs], reward, active)


def _open(used: Chosen) -> build.Models:
    """Return the models; a server is chatted with if it knows how to."""
    if is_server(used.policy) and not used.options.chat:
        try:
            return replace(used, options=replace(used.options, chat=True)).open(192)
        except BackendError as error:
            if error.status_code is None:
                raise
    return used.open(192)


def _house(
    models: build.Models,
    used: Chosen,
    task: Task,
    chosen: Strategy | None,
    reward: str | None,
    model_name: str | None,
) -> House:
    """Return what is served, with limits as usual."""
    policy, options, server = unshared(models.policy), used.options, used.server
    known = build.with_measured([build.strategy(name) for name in build.STRATEGIES], reward)
    strategies = {one.name: one for one in known}
    if chosen is not None:
        strategies[chosen.name] = chosen
    name = Path((options.policy or build.TYPED_TASK).removeprefix(VLLM)).name
    upstream, is_chatted = None, options.chat
    if isinstance(policy, OpenAIPolicy):
        name, is_chatted = policy.model or "default", policy.capabilities.api == "chat"
        url = with_version(options.policy or "")
        upstream = Server(url, name, server.api_key, server.timeout_s)
    shown = name if model_name is None else model_name
    if not shown.isprintable() or not shown.strip():
        raise ConfigError(f"{shown!r} is no name for a model; give one by --model-name")
    has_reward = REWARD in models.by_name
    default = "hgs" if has_reward else "self_consistency"
    return House(
        model=shown,
        task=task,
        models=models.by_name,
        strategies=strategies,
        default=default if chosen is None else chosen.name,
        reward=(reward or name) if has_reward else None,
        server=upstream,
        takes_context=is_chatted,
    )


def _with_rewards(
    house: House, also: list[str], options: ModelOptions, stack: contextlib.ExitStack
) -> House:
    """Return what is served with further reward models, which the stack closes.

    Raises:
      ConfigError: one of them cannot be opened, or has no name of its own.
    """
    models, rewards = dict(house.models), dict[str, str]()
    if also and REWARD not in models:
        raise ConfigError("--also-reward names one more reward model; name the usual by --reward")
    for text in also:
        name, equals, what = text.partition("=")
        if not (name and equals and what):
            raise ConfigError(f"--also-reward must be NAME=REWARD (got {text!r})")
        if name == house.reward or name in rewards:
            raise ConfigError(f"there are two reward models called {name!r} (--also-reward)")
        backend = build.open_reward(
            what, device=options.device, dtype=options.dtype, max_batch=192,
            server=options.reward_server(what) if build.is_served(what) else None,
        )  # fmt: skip
        stack.callback(backend.close)
        if options.skip_thoughts:
            backend = build.without_thoughts(backend, house.models[POLICY])
        rewards[name] = f"{REWARD}:{name}"
        models[rewards[name]] = backend
    return replace(house, models=models, rewards=rewards)


def _supervise(workers: int, listening: socket.socket) -> None:
    """Run this command several times on one socket."""
    from stepnav.serve.metrics import FOLDER_VARIABLE
    from stepnav.serve.server import run_workers

    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault(FOLDER_VARIABLE, folder)
        command = [sys.executable, "-m", "stepnav", *sys.argv[1:]]
        run_workers(command, workers, listening)


def _tell_ready(house: House, listening: socket.socket) -> None:
    host, port, *_ = listening.getsockname()
    shown = f"[{host}]" if ":" in host else host
    tell(f"serving {', '.join(house.served_models)} at http://{shown}:{port}/v1 (Ctrl-C ends)")
