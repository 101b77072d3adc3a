"""Policies and reward models by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from stepnav.build.plugins import Kind, entry_names, find, split_file
from stepnav.build.tasks import CODE_TASKS, EMBEDDED_TASKS
from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError, choose, nearest
from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem
from stepnav.core.requests import POLICY, REWARD
from stepnav.core.strategy import Strategy
from stepnav.engine.hub import fetch_model, is_hub_name
from stepnav.policies.openai.options import ServerOptions
from stepnav.tasks.task import Task

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(slots=True)
class Models:
    """The backends of a run; a context manager that closes them.

    Attributes:
      policy: proposes.
      reward: scores; None if nothing is to be scored.
      notes: what the user should know, one line each, for instance what a server ignores.
      borrowed: those of them that somebody else closes.
    """

    policy: Backend
    reward: Backend | None
    notes: list[str]
    borrowed: tuple[Backend, ...] = ()

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
            if not any(backend is other for other in self.borrowed):
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
) -> Models:
    """Return the policy and the reward model of a run.

    Args:
      policy: a shipped model, a model folder, or the URL of an OpenAI-compatible server.
      reward: a shipped model, a folder or hub name of a reward model of any family
        (`rewards/families/recognise.py`), "FAMILY:FOLDER" where its files cannot tell, "likelihood:FOLDER",
        "oracle", "execution" (code tasks: the public tests), or None.
      task: gives the prompt of models that have none of their own, and the oracle.
      policy_model: the model's name on the server.
      device, dtype: for models in this process.
      chat: whether the question goes through the model's chat template.
      max_batch: most sequences in one pass.
      server: how to use the server; None takes the usual.
    Raises:
      ConfigError: a name, folder or combination that cannot be used.
      BackendError: the server does not answer.
    """
    check_device(device, dtype)
    check_models(policy=policy, reward=reward, task=task, policy_model=policy_model)
    local = {"device": device, "dtype": dtype, "max_batch": max_batch}
    if is_server(policy):  # first what is soon known: whether it answers
        proposer = _open_server(policy, policy_model, task, chat, server or ServerOptions())
    elif is_outside("policies", policy):
        proposer = as_policy(find("policies", policy))
    else:
        proposer = _open_local(policy, task, chat, local)
    try:
        scorer = None if reward is None else _open_reward(reward, task, local)
    except BaseException:
        proposer.close()
        raise
    return Models(proposer, scorer, list(getattr(proposer, "fallbacks", ())))


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
    needs_reward = any(REWARD in strategy.models for strategy in strategies)
    policy = _shipped_model(task, "policy") if policy is None else policy
    if not needs_reward:
        reward = None
    elif reward is None:
        reward = _shipped_model(task, "prm")
    borrowed = tuple(model for model in (policy, reward) if _is_backend(model))
    named = str(reward) if isinstance(reward, (str, Path)) else None
    if isinstance(policy, (str, Path)):
        opened = open_models(policy=str(policy), reward=named, task=task, **options)
        proposer, scorer, notes = opened.policy, opened.reward, opened.notes
    else:
        proposer, scorer, notes = as_policy(policy), None, []
        if named is not None:
            check_models(policy=None, reward=named, task=task, policy_model=None)
            kept = {"device", "dtype", "max_batch"} & options.keys()
            local = {"device": "cpu", **{name: options[name] for name in sorted(kept)}}
            scorer = _open_reward(named, task, local)
    if reward is not None and scorer is None:
        scorer = as_reward(reward)
    return Models(proposer, scorer, notes, borrowed)


def as_policy(found: Any) -> Backend:
    """Return a policy that a function or a backend is.

    Raises:
      ConfigError: it is neither.
    """
    from stepnav.policies.function import FunctionPolicy

    return _as_backend(found, FunctionPolicy, "policy")


def as_reward(found: Any) -> Backend:
    """Return a reward model that a function or a backend is.

    Raises:
      ConfigError: it is neither.
    """
    from stepnav.rewards.function import FunctionReward

    return _as_backend(found, FunctionReward, "reward")


def _as_backend(found: Any, wrap: Callable[[Any], Backend], noun: str) -> Backend:
    if _is_backend(found):
        return found  # type: ignore[no-any-return]
    if not callable(found):
        raise ConfigError(
            f"a {noun} must be a name, a folder, a URL, a function or a backend (got {found!r:.80})"
        )
    return wrap(found)


def _is_backend(found: Any) -> bool:
    return all(
        hasattr(found, name) for name in ("submit", "poll", "cancel", "token_bound", "close")
    )


def is_outside(kind: Kind, name: str) -> bool:
    """Return whether a name is FILE.py:NAME or that of an installed plugin."""
    return split_file(name) is not None or name in entry_names(kind)


def doubt_of(policy: Backend, problem: Problem, result: SearchResult) -> str | None:
    """Return why a search's answer should not be trusted; None where nothing speaks against it.

    Only a policy in this process with what it knows saved beside its weights can tell
    (`policies/local/known.py`).
    """
    from stepnav.policies.local import LocalPolicy

    return policy.doubt(problem, result) if isinstance(policy, LocalPolicy) else None


def check_models(
    *, policy: str | None, reward: str | None, task: Task, policy_model: str | None
) -> None:
    """Refuse names of models that `open_models` could not open; loads nothing.

    Raises:
      ConfigError: there is no such folder, or the task has not what the reward needs.
    """
    if policy is not None and not is_server(policy):
        if policy_model is not None:
            raise ConfigError("--policy-model names a model on a server; --policy must be its URL")
        if is_outside("policies", policy):
            as_policy(find("policies", policy))
        else:
            _model_folder("policy", policy)
    if reward == "oracle" and task.rate_steps is None:
        raise ConfigError(f"{task.name} has no exact step checker, so it has no oracle")
    if reward == "execution" and task.code is None:
        raise ConfigError(
            f"{task.name} has no programs to run; --reward execution is for "
            f"{', '.join(sorted(CODE_TASKS))}"
        )
    if reward is not None and is_outside("rewards", reward):
        as_reward(find("rewards", reward))
    elif reward not in (None, "oracle", "execution"):
        reward_folder(reward)


def choose_shots(task: Task, shots: int | None, policy: str, *, chat: bool) -> tuple[Task, int]:
    """Return the task with its worked examples, and how many they are.

    Args:
      task: what is to be solved.
      shots: as the user set it; None takes what the field shows: the task's default to a completion
        model, none to a chat model, to a shipped one, or to one with a prompt format of its own.
      policy: as in `open_models`.
      chat: whether the question goes through the model's chat template.
    Raises:
      ConfigError: the task has fewer, or the model's own format has no place for them.
    """
    from stepnav.build.models import policy_folder
    from stepnav.policies.local.prompt import FILE_NAME
    from stepnav.tasks.worked_examples import with_shots

    folder = policy_folder(policy)
    has_format = folder is not None and (folder / FILE_NAME).exists()
    if has_format and shots:
        raise ConfigError(
            f"{policy} has a prompt format of its own ({FILE_NAME}), without worked examples; "
            "leave --shots out"
        )
    if shots is None:
        has_own = chat or has_format or policy in EMBEDDED_TASKS
        shots = 0 if has_own else task.default_shots
    return with_shots(task, shots), shots


def open_reward(
    name: str, *, device: str = "cpu", dtype: str = "float32", max_batch: int = 64
) -> Backend:
    """Return a reward model that needs no task.

    Args:
      name: as in `open_models`; not "oracle" or "execution".
      device, dtype, max_batch: as in `open_models`.
    Raises:
      ConfigError: a name or folder that cannot be used.
    """
    check_device(device, dtype)
    _refuse_tasks_own(name)
    local = {"device": device, "dtype": dtype, "max_batch": max_batch}
    return _open_reward(name, None, local)


def reward_folder(name: str) -> Path:
    """Return the folder of a reward model's weights: a shipped one, or the user's own.

    Raises:
      ConfigError: there is no such folder.
    """
    from stepnav.rewards.families.recognise import split_family

    _refuse_tasks_own(name)
    kind, _, rest = name.partition(":")
    if kind == "likelihood":
        return _model_folder("policy", rest)
    return _model_folder("prm", split_family(name)[1])


def reward_family(name: str) -> str:
    """Return the family of a reward model, a key of `FAMILIES`, as `open_reward` takes it.

    Raises:
      ConfigError: there is no such folder, or the family cannot be told.
    """
    from stepnav.rewards.families.recognise import read_checkpoint, recognise, split_family

    family, rest = split_family(name)
    return family or recognise(read_checkpoint(reward_folder(name), _hub_name(rest)))


def policy_folder(name: str) -> Path | None:
    """Return the folder of a policy's weights; None if it is on a server.

    Raises:
      ConfigError: there is no such folder.
    """
    if is_server(name) or is_outside("policies", name):
        return None
    return _model_folder("policy", name)


def is_server(policy: str) -> bool:
    """Return whether a policy's name is the URL of a server."""
    return policy.startswith(("http://", "https://"))


def _refuse_tasks_own(name: str) -> None:
    if name in ("oracle", "execution"):
        raise ConfigError(
            f"{name!r} is of a task, and there is none here; name a shipped model, a model folder, a hub "
            "name, FAMILY:FOLDER or likelihood:FOLDER"
        )


def check_device(device: str, dtype: str = "float32") -> None:
    """Refuse a device that no model could be put on, or a data type that none is read as.

    Raises:
      ConfigError: it has another name, or there is no CUDA device here.
    """
    choose("--dtype", dtype, DTYPES)
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", device) is None:
        raise ConfigError(f"the device must be cpu, cuda, cuda:NUMBER or auto (got {device!r})")
    if device.startswith("cuda") and find_spec("torch") is not None:
        import torch

        if not torch.cuda.is_available():
            raise ConfigError("there is no CUDA device that torch can use; leave --device out")


def _open_local(name: str, task: Task, chat: bool, local: Mapping[str, Any]) -> Backend:
    from stepnav.policies.local import LocalPolicy, PolicyFormat
    from stepnav.policies.local.prompt import FILE_NAME

    folder = _model_folder("policy", name)
    format_ = None
    if not (folder / FILE_NAME).exists():
        format_ = PolicyFormat(
            prompt_template=(task.chat_template if chat else None) or task.prompt_template,
            answer_pattern=_answer_pattern(task, chat),
            # the embedded tasks' own models are trained with it; others are shown what harnesses show
            add_bos=True if task.name in EMBEDDED_TASKS else None,
            is_chat=chat,
            end_strings=() if chat else task.end_strings,
        )
    return LocalPolicy(folder, format=format_, **local)


def _open_server(
    url: str, model: str | None, task: Task, chat: bool, server: ServerOptions
) -> Backend:
    from stepnav.policies.openai import OpenAIPolicy

    return OpenAIPolicy(
        url,
        model,
        api="chat" if chat else "auto",
        prompt_template=task.prompt_template,
        chat_template=task.chat_template,
        end_strings=() if chat else task.end_strings,
        answer_pattern=_answer_pattern(task, chat),
        server=server,
    )


def _answer_pattern(task: Task, chat: bool) -> str | None:
    return (task.chat_answer_pattern if chat else None) or task.answer_pattern


def _open_reward(name: str, task: Task | None, local: Mapping[str, Any]) -> Backend:
    if name == "oracle":
        from stepnav.rewards.oracle import OracleReward

        assert task is not None and task.rate_steps is not None, "the names were not checked"
        return OracleReward(task.rate_steps)
    if name == "execution":
        from stepnav.rewards.execution import ExecutionReward

        assert task is not None and task.code is not None, "the names were not checked"
        return ExecutionReward(task.code.parses_so_far, task.code.passes_public)
    if is_outside("rewards", name):
        return as_reward(find("rewards", name))
    if name.startswith("likelihood:"):
        from stepnav.rewards.likelihood import LikelihoodReward

        return LikelihoodReward(_model_folder("policy", name.partition(":")[2]), **local)
    from stepnav.rewards.families.recognise import open_checkpoint, split_family

    family, rest = split_family(name)
    folder = _model_folder("prm", rest)
    return open_checkpoint(folder, name=_hub_name(rest), family=family, **local)


def _hub_name(name: str) -> str:
    return name if is_hub_name(name) else ""


def choose_models(
    task: Task, strategies: Sequence[Strategy], policy: str | None, reward: str | None
) -> tuple[str, str | None]:
    """Return the names of a run's models: those given, else those that ship for the task.

    Args:
      task: what is to be solved.
      strategies: the run's; where none of them scores, there is no reward model.
      policy, reward: what the user named, if anything.
    Raises:
      ConfigError: nothing was named and nothing ships.
    """
    needs_reward = any(REWARD in strategy.models for strategy in strategies)
    return (
        policy or _shipped_model(task, "policy"),
        (reward or _shipped_model(task, "prm")) if needs_reward else None,
    )


def _shipped_model(task: Task, kind: Literal["policy", "prm"]) -> str:
    from stepnav.zoo import MODELS_FOLDER

    if not (MODELS_FOLDER / f"{task.name}-{kind}").is_dir():
        option, noun = ("policy", "policy") if kind == "policy" else ("reward", "reward model")
        raise ConfigError(f"no {noun} ships for the task {task.name}; name one with --{option}")
    return task.name


def _model_folder(kind: str, name: str) -> Path:
    """Return the folder of a shipped model, of the user's own, or of one fetched from the hub."""
    from stepnav.zoo import MODELS_FOLDER

    shipped = MODELS_FOLDER / f"{name}-{kind}"
    if "/" not in name and shipped.is_dir():
        return shipped
    folder = Path(name)
    if not folder.is_dir() and is_hub_name(name):
        return fetch_model(name)
    if not folder.is_dir():
        suffix = f"-{kind}"
        names = [p.name.removesuffix(suffix) for p in MODELS_FOLDER.glob(f"*{suffix}")]
        raise ConfigError(
            f"no model folder {name!r}{nearest(name, names)}; give a folder made by "
            f"save_pretrained, a hub name, or a shipped model: {', '.join(sorted(names)) or 'none'}"
        )
    return folder
