"""Reward models by name; of judges, "judge" is the run's policy, "judge:NAME" another model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.build.device import check_device
from stepnav.build.folders import VLLM, hub_name, is_in_vllm, is_server, model_folder
from stepnav.build.plugins import as_reward, find, is_outside
from stepnav.build.policies import open_policy, without_device
from stepnav.build.rules import open_rule, ruled, split_rule
from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError
from stepnav.remote.options import ServerOptions
from stepnav.tasks.task import Task

if TYPE_CHECKING:
    from stepnav.rewards.judge import Read

REWARD_KEY = "STEPNAV_REWARD_API_KEY"
"""The variable with the API key of the reward model's server, unless another one is named."""


READS: Mapping[str, Read] = {"judge": "answer", "judge-logprob": "logprob"}


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge's name, taken apart.

    Attributes:
      model: who is asked; empty is the run's policy.
      read: as of `JudgeReward`.
    """

    model: str
    read: Read


def as_judge(name: str | None) -> Judge | None:
    """Return the judge that a reward's name stands for, None if for none."""
    kind, _, model = split_rule(name or "")[1].partition(":")
    return Judge(model, READS[kind]) if kind in READS else None


@dataclass(frozen=True, slots=True)
class RewardServer:
    """How to use the server of a reward model.

    Attributes:
      model: the model's name there; None takes the only one.
      tokenizer: folder or hub name with its config and tokenizer; None takes the model's name.
      options: key, limits of time and traffic.
    """

    model: str | None = None
    tokenizer: str | None = None
    options: ServerOptions = field(
        default_factory=lambda: ServerOptions(
            key_advice=f"set {REWARD_KEY}, or name another variable that holds it with "
            "--reward-api-key-env",
            model_option="--reward-model",
        )
    )


def open_reward(
    name: str | Path,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    max_batch: int = 64,
    server: RewardServer | None = None,
    vllm: str = "",
) -> Backend:
    """Return a reward model that needs no task.

    Args:
      name: as in `open_models`; not "oracle" or "execution".
      device, dtype, max_batch: as in `open_models`.
      server: how to use its server; None takes the usual.
      vllm: options of vLLM, for a name that begins with "vllm:".
    Raises:
      ConfigError: a name or folder that cannot be used.
      BackendError: its server does not answer.
    """
    check_device(device, dtype)
    name = str(name)
    refuse_tasks_own(name)
    local = {"device": device, "dtype": dtype, "max_batch": max_batch}
    return open_task_reward(name, None, local, server, vllm)


def is_served(name: str) -> bool:
    """Return whether a reward model's name is a server's URL, FAMILY:URL, or judge:URL."""
    model = split_rule(name)[1]
    return re.match(r"(?!likelihood|vllm)(?:[a-z-]+:)?https?://", model) is not None


def reward_folder(name: str) -> Path:
    """Return the folder of a reward model's weights: a shipped one, or the user's own.

    Raises:
      ConfigError: there is no such folder.
    """
    from stepnav.rewards.families.recognise import split_family

    refuse_tasks_own(name)
    if is_served(name):
        raise ConfigError(f"{name} is on a server, and this needs its weights here; name a folder")
    rule, name = split_rule(name)
    if not name:
        raise ConfigError(f"{rule} is a rule and has no weights; name a reward model's folder")
    kind, _, rest = name.partition(":")
    if kind == "likelihood" or as_judge(name) is not None:
        return model_folder("policy", rest)
    return model_folder("prm", split_family(name.removeprefix(VLLM))[1])


def reward_family(name: str) -> str:
    """Return the family of a reward model, a key of `FAMILIES`, as `open_reward` takes it.

    Raises:
      ConfigError: there is no such folder, or the family cannot be told.
    """
    from stepnav.rewards.families.recognise import read_checkpoint, recognise, split_family

    family, rest = split_family(split_rule(name)[1].removeprefix(VLLM))
    return family or recognise(read_checkpoint(reward_folder(name), hub_name(rest)))


def refuse_tasks_own(name: str) -> None:
    """Refuse a reward model that needs a task, or the policy of a search.

    Raises:
      ConfigError: it is one.
    """
    judge = as_judge(name)
    is_elsewhere = judge is not None and (is_server(judge.model) or is_in_vllm(judge.model))
    if judge is not None and (not judge.model or is_elsewhere):
        raise ConfigError(
            f"{name!r} is a judge of searches; here it must be asked in this process: judge:FOLDER"
        )
    if name == "oracle" or split_rule(name)[0] == "execution":
        raise ConfigError(
            f"{name!r} is of a task, and there is none here; "
            "name a shipped model, a model folder, a hub "
            "name, FAMILY:FOLDER or likelihood:FOLDER"
        )


def open_task_reward(
    name: str,
    task: Task | None,
    local: Mapping[str, Any],
    server: RewardServer | None = None,
    vllm: str = "",
) -> Backend:
    """Return a reward model, one of a task or a rule too; names were checked (`check_models`)."""
    if name == "oracle":
        from stepnav.rewards.oracle import OracleReward

        assert task is not None and task.rate_steps is not None, "the names were not checked"
        return OracleReward(task.rate_steps)
    rule, model = split_rule(name)
    if rule and not model:
        return open_rule(rule, task)
    if rule:
        return ruled(rule, task, open_task_reward(model, task, local, server, vllm))
    if is_outside("rewards", name):
        return as_reward(find("rewards", name))
    judge = as_judge(name)
    if judge is not None:
        return _open_judge(judge, task, local, server)
    if name.startswith("likelihood:"):
        return _open_likelihood(model_folder("policy", name.partition(":")[2]), local)
    from stepnav.rewards.families.recognise import open_checkpoint, split_family

    family, rest = split_family(name.removeprefix(VLLM))
    if is_in_vllm(name):
        from stepnav.rewards.vllm import open_vllm_reward

        return open_vllm_reward(
            model_folder("prm", rest), name=hub_name(rest), family=family, options=vllm,
            **without_device(local),
        )  # fmt: skip
    if is_server(rest):
        from stepnav.rewards.remote import RemoteReward

        how = server or RewardServer()
        return RemoteReward(
            rest, tokenizer=how.tokenizer, model=how.model, family=family, server=how.options
        )
    folder = model_folder("prm", rest)
    return open_checkpoint(folder, name=hub_name(rest), family=family, **local)


def open_judge(
    judge: Judge, policy: Backend, task: Task, local: Mapping[str, Any]
) -> tuple[Backend, Backend]:
    """Return the policy and the judge, which are one model if the judge names none.

    Args:
      judge: on no server of its own.
      policy: the run's.
      task, local: as of `open_policy`.
    Raises:
      ConfigError: as `open_policy`.
    """
    from stepnav.policies.shared import SharedBackend
    from stepnav.rewards.judge import JudgeReward

    if judge.model:
        model = open_policy(judge.model, task, chat=False, local=local)
        return policy, JudgeReward(model, read=judge.read)
    shared = SharedBackend(policy)
    return shared.port(), JudgeReward(shared.port(), read=judge.read)


def _open_likelihood(folder: Path, local: Mapping[str, Any]) -> Backend:
    """Return the likelihood of a model, read in its own prompt."""
    from stepnav.policies.local.prompt import FILE_NAME, PolicyFormat
    from stepnav.rewards.likelihood import LIKELIHOOD, Likelihood
    from stepnav.rewards.local.reward import LocalReward

    own = PolicyFormat.load(folder)
    if own.is_chat:
        raise ConfigError(
            f"{folder} is asked in a chat (is_chat in {FILE_NAME}), and a likelihood is read "
            "in a plain prompt; name another model"
        )
    shown = Likelihood(own.prompt_template, own.separator, add_bos=own.add_bos)
    return LocalReward.open(LIKELIHOOD, folder, format=shown, **local)


def _open_judge(
    judge: Judge, task: Task | None, local: Mapping[str, Any], server: RewardServer | None
) -> Backend:
    """Return a judge that is another model than the policy; on a server, it is asked as a chat."""
    from stepnav.rewards.judge import JudgeReward

    if not is_server(judge.model):
        from stepnav.policies.local import LocalPolicy

        return JudgeReward(LocalPolicy(model_folder("policy", judge.model), **local), judge.read)
    assert task is not None, "the names were not checked"
    how, wants = server or RewardServer(), judge.read == "logprob"
    asked = open_policy(
        judge.model, task, how.model, chat=True, local={}, server=how.options, wants_logprobs=wants
    )
    return JudgeReward(asked, judge.read)


def without_thoughts(reward: Backend, policy: Backend | None = None) -> Backend:
    """Return a reward model that is not shown what the policy thinks."""
    from stepnav.rewards.without_thoughts import WithoutThoughts

    before: str = getattr(policy, "before_solutions", "")
    return WithoutThoughts(reward, before)
