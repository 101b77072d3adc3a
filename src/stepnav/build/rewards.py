"""Reward models by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepnav.build.device import check_device
from stepnav.build.folders import hub_name, model_folder
from stepnav.build.outside import as_reward, is_outside
from stepnav.build.plugins import find
from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError
from stepnav.tasks.task import Task


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
    return open_task_reward(name, None, local)


def reward_folder(name: str) -> Path:
    """Return the folder of a reward model's weights: a shipped one, or the user's own.

    Raises:
      ConfigError: there is no such folder.
    """
    from stepnav.rewards.families.recognise import split_family

    _refuse_tasks_own(name)
    kind, _, rest = name.partition(":")
    if kind == "likelihood":
        return model_folder("policy", rest)
    return model_folder("prm", split_family(name)[1])


def reward_family(name: str) -> str:
    """Return the family of a reward model, a key of `FAMILIES`, as `open_reward` takes it.

    Raises:
      ConfigError: there is no such folder, or the family cannot be told.
    """
    from stepnav.rewards.families.recognise import read_checkpoint, recognise, split_family

    family, rest = split_family(name)
    return family or recognise(read_checkpoint(reward_folder(name), hub_name(rest)))


def _refuse_tasks_own(name: str) -> None:
    if name in ("oracle", "execution"):
        raise ConfigError(
            f"{name!r} is of a task, and there is none here; name a shipped model, a model folder, a hub "
            "name, FAMILY:FOLDER or likelihood:FOLDER"
        )


def open_task_reward(name: str, task: Task | None, local: Mapping[str, Any]) -> Backend:
    """Return a reward model, those that are of a task too; its names were checked (`check_models`)."""
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
        from stepnav.rewards.likelihood import LIKELIHOOD
        from stepnav.rewards.local.reward import LocalReward

        return LocalReward.open(LIKELIHOOD, model_folder("policy", name.partition(":")[2]), **local)
    from stepnav.rewards.families.recognise import open_checkpoint, split_family

    family, rest = split_family(name)
    folder = model_folder("prm", rest)
    return open_checkpoint(folder, name=hub_name(rest), family=family, **local)
