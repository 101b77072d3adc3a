"""Refuses names of models that could not be opened, before anything is loaded."""

from __future__ import annotations

from stepnav.build.folders import is_in_vllm, is_server, model_folder
from stepnav.build.plugins import as_policy, as_reward, find, is_outside
from stepnav.build.rewards import as_judge, is_served, reward_folder
from stepnav.build.rules import check_rule, split_rule
from stepnav.core.errors import ConfigError
from stepnav.tasks.task import Task


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
            model_folder("policy", policy)
    rule, reward = split_rule(reward or "")
    if rule:
        check_rule(rule, task)
    if any(name is not None and is_in_vllm(name) for name in (policy, reward)):
        from stepnav.engine.vllm import check_installed

        check_installed()
    if reward == "oracle" and task.rate_steps is None:
        raise ConfigError(f"{task.name} has no exact step checker, so it has no oracle")
    if reward and is_outside("rewards", reward):
        as_reward(find("rewards", reward))
    elif (judge := as_judge(reward)) is not None:
        if judge.model and not is_server(judge.model):
            check_models(policy=judge.model, reward=None, task=task, policy_model=None)
    elif reward not in ("", "oracle") and not is_served(reward):
        reward_folder(reward)
