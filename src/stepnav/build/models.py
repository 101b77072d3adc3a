"""Policies and reward models by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

from stepnav.build.check_models import check_models
from stepnav.build.device import check_device
from stepnav.build.folders import policy_folder, shipped_model
from stepnav.build.plugins import as_policy, as_reward, is_backend, is_outside
from stepnav.build.policies import has_own_format, open_policy, refuse_chat
from stepnav.build.rewards import (
    RewardServer,
    as_judge,
    is_served,
    open_judge,
    open_task_reward,
    reward_folder,
)
from stepnav.build.rules import ruled, split_rule
from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError, nearest
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.core.requests import POLICY, REWARD
from stepnav.core.strategy import Strategy
from stepnav.policies.shared import lend
from stepnav.remote.options import ServerOptions
from stepnav.tasks.task import Task

T = TypeVar("T")


@dataclass(slots=True)
class Models:
    """The backends of a run; a context manager that closes them.

    Attributes:
      policy: proposes.
      reward: scores; None if nothing is to be scored.
      notes: what the user should know, one line each, for instance what a server ignores.
    """

    policy: Backend
    reward: Backend | None
    notes: list[str]

    @property
    def by_name(self) -> dict[str, Backend]:
        """The backends under the names by which requests ask for them."""
        found = {POLICY: self.policy}
        if self.reward is not None:
            found[REWARD] = self.reward
        return found

    def __enter__(self) -> Models:
        return self

    def __exit__(self, *error: object) -> None:
        for backend in self.by_name.values():
            backend.close()


def open_models(
    *,
    policy: str,
    reward: str | None,
    task: Task,
    policy_model: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    chat: bool = False,
    max_batch: int = 64,
    server: ServerOptions | None = None,
    reward_server: RewardServer | None = None,
    vllm: str = "",
    reward_vllm: str = "",
) -> Models:
    """Return the policy and the reward model of a run.

    Args:
      policy: a shipped model, a model folder, either after "vllm:" for vLLM in this process, or
        the URL of an OpenAI-compatible server.
      reward: a shipped model, a folder or hub name of a reward model of any family
        (`rewards/families/recognise.py`), "FAMILY:FOLDER" where its files cannot tell, the URL of a
        server that has one (or "FAMILY:URL"), "vllm:FOLDER", "likelihood:FOLDER", "oracle",
        "execution" (code tasks: the public tests), "equations" (prose: those that a step states),
        either with "+NAME" behind it (a model that it may overrule), "judge" (the policy is asked
        about each step), "judge:NAME" (another policy is, named as `policy` is), the same with
        "judge-logprob" for "judge" (the probability of its word is read), or None.
      task: gives the prompt of models that have none of their own, and the oracle.
      policy_model: the model's name on the server.
      device, dtype: for models in this process.
      chat: whether the question goes through the model's chat template.
      max_batch: most sequences in one pass.
      server: how to use the server; None takes the usual.
      reward_server: how to use the reward model's; None takes the usual.
      vllm, reward_vllm: options of vLLM as `vllm serve` takes them, for models that it runs.
    Raises:
      ConfigError: a name, folder or combination that cannot be used.
      BackendError: the server does not answer.
    """
    check_device(device, dtype)
    check_models(policy=policy, reward=reward, task=task, policy_model=policy_model)
    local = {"device": device, "dtype": dtype, "max_batch": max_batch}
    how: dict[str, Any] = {"reward_server": reward_server, "reward_vllm": reward_vllm}

    def open_proposer() -> Backend:
        return open_policy(
            policy, task, policy_model, chat=chat, local=local, server=server, vllm=vllm
        )

    scorer: Backend | None
    if reward is not None and is_served(reward):
        # first what is soon known: whether a server answers
        scorer = open_task_reward(reward, task, local, reward_server)
        proposer = _or_close(scorer, open_proposer)
    else:
        first = open_proposer()
        proposer, scorer = _or_close(first, lambda: _open_scorer(reward, first, task, local, **how))
    return Models(proposer, scorer, list(getattr(proposer, "fallbacks", ())))


def _or_close(opened: Backend, go_on: Callable[[], T]) -> T:
    """Return what comes next; if it fails, close what is open."""
    try:
        return go_on()
    except BaseException:
        opened.close()
        raise


def open_any(
    *, policy: Any, reward: Any, task: Task, strategies: Sequence[Strategy], **options: Any
) -> Models:
    """Return the models of a run, each given as a name, a folder, a URL, a function or a backend.

    Args:
      policy, reward: None takes what ships for the task; a backend stays its owner's to close.
      task, options: as of `open_models`.
      strategies: the run's; where none of them scores, there is no reward model.
    Raises:
      ConfigError: one of them cannot be used.
      BackendError: the server does not answer.
    """
    policy, reward = choose_models(task, strategies, policy, reward)
    known = [*signature(open_models).parameters][3:]
    for name in options.keys() - set(known):
        raise ConfigError(
            f"there is no argument {name!r}{nearest(name, known)}; models take {', '.join(known)}"
        )
    with ExitStack() as lent:
        policy, reward = (
            lent.enter_context(closing(lend(model))) if is_backend(model) else model
            for model in (policy, reward)
        )
        named = str(reward) if isinstance(reward, (str, Path)) else None
        scorer = as_reward(reward) if reward is not None and named is None else None
        if isinstance(policy, (str, Path)):
            opened = open_models(policy=str(policy), reward=named, task=task, **options)
            proposer, notes = opened.policy, opened.notes
            scorer = scorer or opened.reward
        else:
            proposer, notes = as_policy(policy, task), []
            if named is not None:
                check_models(policy=None, reward=named, task=task, policy_model=None)
                kept = {"device", "dtype", "max_batch"} & options.keys()
                local = {"device": "cpu", **{name: options[name] for name in sorted(kept)}}
                how = {name: options.get(name) for name in ("reward_server", "reward_vllm")}
                proposer, scorer = _open_scorer(named, proposer, task, local, **how)
        lent.pop_all()
    return Models(proposer, scorer, notes)


def _open_scorer(
    reward: str | None,
    proposer: Backend,
    task: Task,
    local: Mapping[str, Any],
    *,
    reward_server: RewardServer | None,
    reward_vllm: str | None = None,
) -> tuple[Backend, Backend | None]:
    """Return the policy, which a judge may share, and the reward model."""
    judge = as_judge(reward)
    if reward is None:
        return proposer, None
    if judge is not None and not is_served(reward):
        proposer, scorer = open_judge(judge, proposer, task, local)
        return proposer, ruled(split_rule(reward)[0], task, scorer)
    return proposer, open_task_reward(reward, task, local, reward_server, reward_vllm or "")


def doubt_of(policy: Backend, problem: Problem, result: SearchResult) -> str | None:
    """Return why a search's answer should not be trusted; None where nothing speaks against it.

    Only a policy in this process with what it knows saved beside its weights can tell
    (`policies/local/known.py`).
    """
    from stepnav.policies.local import LocalPolicy

    policy = unshared(policy)
    return policy.doubt(problem, result) if isinstance(policy, LocalPolicy) else None


def unshared(policy: Backend) -> Backend:
    """Return the policy of a run itself, also where a judge shares it."""
    while (shared := getattr(policy, "shared", None)) is not None:
        policy = shared.backend
    return policy


def choose_shots(task: Task, shots: int | None, policy: str, *, chat: bool) -> tuple[Task, int]:
    """Return the task with its worked examples, and how many they are.

    Args:
      task: what is to be solved.
      shots: as the user set it; None takes what the field shows: the task's default to a completion
        model, none to a chat model, or to one with a prompt format of its own, as those that ship.
      policy: as in `open_models`.
      chat: whether the question goes through the model's chat template.
    Raises:
      ConfigError: the task has fewer, or the model's own format has no place for them.
    """
    from stepnav.policies.local.prompt import FILE_NAME
    from stepnav.tasks.worked_examples import with_shots

    has_format = has_own_format(policy_folder(policy))
    if has_format and shots:
        raise ConfigError(
            f"{policy} has a prompt format of its own ({FILE_NAME}), without worked examples; "
            "leave --shots out"
        )
    if has_format:
        refuse_chat(policy, chat=chat)
    if (chat or shots) and is_outside("policies", policy):
        raise ConfigError(f"{policy} sees the question alone; leave --chat and --shots out")
    if shots is None:
        shots = 0 if chat or has_format else task.default_shots
    return with_shots(task, shots), shots


def with_measured(
    strategies: Sequence[Strategy], reward: Any, task: Task | None = None
) -> list[Strategy]:
    """Return the strategies with the options that were measured with a reward model.

    They lie beside its weights (`rewards/measured.py`); options that are set go before.

    Args:
      strategies: a run's.
      reward: as in `open_any`; a model that is no name of a folder has none.
      task: whose shipped model None stands for, if one ships; without it None is no model.
    """
    from stepnav.rewards.measured import read_measured
    from stepnav.zoo import MODELS_FOLDER

    if reward is None and task is not None and (MODELS_FOLDER / f"{task.name}-prm").is_dir():
        reward = task.name
    if (
        not isinstance(reward, (str, Path))
        or (name := split_rule(str(reward))[1]) in ("", "oracle")
        or is_served(name)
        or is_outside("rewards", name)
        or as_judge(name) is not None
    ):
        return list(strategies)
    found = read_measured(reward_folder(name))
    return [replace(one, options={**found.get(one.name, {}), **one.options}) for one in strategies]


def choose_models(
    task: Task, strategies: Sequence[Strategy], policy: Any, reward: Any
) -> tuple[Any, Any]:
    """Return a run's models: those given, else the names of those that ship for the task.

    Args:
      task: what is to be solved.
      strategies: the run's; where none of them scores, there is no reward model: None.
      policy, reward: what the user gave, if anything.
    Raises:
      ConfigError: nothing was given and nothing ships.
    """
    policy = shipped_model(task, "policy") if policy is None else policy
    if not any(REWARD in strategy.models for strategy in strategies):
        return policy, None
    return policy, shipped_model(task, "prm") if reward is None else reward
