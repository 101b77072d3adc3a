"""The models of a run, chosen by their names, and how they are opened."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from stepnav import build
from stepnav.cli.console import loading, note
from stepnav.cli.options.models import ModelOptions
from stepnav.core.errors import ConfigError
from stepnav.core.strategy import Strategy
from stepnav.remote.options import ServerOptions
from stepnav.tasks.task import Task

logger = logging.getLogger("stepnav")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The models of a run, before one is opened.

    Attributes:
      options: how they run.
      task: what they solve, with its worked examples.
      num_shots: how many these are.
      policy, reward: their names.
      server: how the policy's is used.
    """

    options: ModelOptions
    task: Task
    num_shots: int
    policy: str
    reward: str | None
    server: ServerOptions

    @classmethod
    def of(
        cls,
        options: ModelOptions,
        task: Task,
        strategies: Sequence[Strategy] = (),
        reward: str | None = None,
        active: int | None = None,
    ) -> Chosen:
        """Choose the models of a run, and check that they can be opened.

        Args:
          options: what the user says of them.
          task: what is to be solved.
          strategies: the run's; where none of them scores, there is no reward model.
          reward: what the user named, if anything.
          active: how many searches run at once, None if it is not said.
        Raises:
          ConfigError: a name, a device or a data type that cannot be used.
        """
        server = options.server(active, reward)
        build.check_device(options.device, options.dtype)
        policy, scorer = build.choose_models(
            task, strategies, options.policy or None, reward or None
        )
        if reward and scorer is None:
            names = ", ".join(strategy.name for strategy in strategies)
            note(f"--reward {reward} is not used: none of the strategies asks it ({names})")
        options.reward_server(scorer)
        _check_vllm("--vllm", options.vllm, "--policy", policy)
        _check_vllm("--reward-vllm", options.reward_vllm, "--reward", scorer)
        known = options.policy_model
        build.check_models(policy=policy, reward=scorer, task=task, policy_model=known)
        task, num_shots = build.choose_shots(task, options.shots, policy, chat=options.chat)
        return cls(options, task, num_shots, policy, scorer, server)

    @property
    def full_name(self) -> str:
        """The policy's name, with the model's on its server."""
        model = self.options.policy_model
        return self.policy if model is None else f"{self.policy}#{model}"

    def open(self, max_batch: int = 64) -> build.Models:
        """Return the models; `max_batch` is as in `build.open_models`."""
        how, names = self.options, (self.policy, self.reward)
        logger.info("policy %s, reward %s, on %s in %s", *names, how.device, how.dtype)
        with loading("torch and the models"):
            models = build.open_models(
                policy=self.policy,
                policy_model=how.policy_model,
                reward=self.reward,
                task=self.task,
                device=how.device,
                dtype=how.dtype,
                chat=how.chat,
                max_batch=max_batch,
                server=self.server,
                reward_server=how.reward_server(self.reward, max_batch),
                vllm=how.vllm or "",
                reward_vllm=how.reward_vllm or "",
            )
        if how.skip_thoughts and models.reward is not None:
            models.reward = build.without_thoughts(models.reward, models.policy)
        return models


def _check_vllm(option: str, said: str | None, model: str, name: str | None) -> None:
    """Refuse options of vLLM for a model that it does not run."""
    if said is not None and not (name or "").startswith("vllm:"):
        raise ConfigError(f"{option} is for {model} vllm:MODEL (got {name})")
