"""Options on who proposes and how it runs: in this process, or on a server."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from stepnav import build
from stepnav.cli.console import loading
from stepnav.cli.options.api_key import api_key
from stepnav.cli.options.shared import Device, Dtype, Sandbox
from stepnav.core.errors import ConfigError
from stepnav.core.strategy import Strategy
from stepnav.remote.options import ServerOptions
from stepnav.tasks.task import Task

SERVER_VARIABLES: Mapping[str, str] = {
    "timeout": "STEPNAV_TIMEOUT",
    "concurrency": "STEPNAV_CONCURRENCY",
    "retries": "STEPNAV_RETRIES",
    "max_step_tokens": "STEPNAV_MAX_STEP_TOKENS",
    "max_solution_tokens": "STEPNAV_MAX_SOLUTION_TOKENS",
    "extra_body": "STEPNAV_EXTRA_BODY",
}
"""Option of a server -> the environment variable that stands in for it."""

logger = logging.getLogger("stepnav")

KEY_VARIABLE = "OPENAI_API_KEY"

_USUAL = ServerOptions()


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """Who proposes, and how models run."""

    policy: Annotated[
        str | None,
        typer.Option(
            help="Who proposes: a shipped model (arithmetic, plain, micro-python), a model folder, "
            "a hub name, vllm: and one of these, a server's URL, or FILE.py:NAME. [default: the "
            "task's own]"
        ),
    ] = None
    policy_model: Annotated[str | None, typer.Option(help="Name of the model on that server.")] = (
        None
    )
    api_key_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Server: the environment variable that holds its API key. "
            f"[default: {KEY_VARIABLE}]",
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            envvar=SERVER_VARIABLES["timeout"],
            help=f"Server: most seconds of one request. [default: {_USUAL.timeout_s:g}]",
        ),
    ] = None
    concurrency: Annotated[
        int | None,
        typer.Option(
            envvar=SERVER_VARIABLES["concurrency"],
            help="Server: most requests at once. [default: as many as searches run at once]",
        ),
    ] = None
    retries: Annotated[
        int | None,
        typer.Option(
            envvar=SERVER_VARIABLES["retries"],
            help=f"Server: tries again of one request. [default: {_USUAL.max_retries}]",
        ),
    ] = None
    max_step_tokens: Annotated[
        int | None,
        typer.Option(
            envvar=SERVER_VARIABLES["max_step_tokens"],
            help=f"Server: most tokens of a step. [default: {_USUAL.max_step_tokens}]",
        ),
    ] = None
    max_solution_tokens: Annotated[
        int | None,
        typer.Option(
            envvar=SERVER_VARIABLES["max_solution_tokens"],
            help=f"Server: most tokens of a solution. [default: {_USUAL.max_solution_tokens}]",
        ),
    ] = None
    extra_body: Annotated[
        str | None,
        typer.Option(
            envvar=SERVER_VARIABLES["extra_body"],
            metavar="JSON",
            help="""Server: fields to add to every request, as in '{"top_k": 20}'.""",
        ),
    ] = None
    reward_model: Annotated[
        str | None, typer.Option(help="Reward server: name of the model on it.")
    ] = None
    reward_tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Reward server: folder or hub name with the model's config and tokenizer; no "
            "weights are needed. [default: the model's name there]",
        ),
    ] = None
    reward_api_key_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Reward server: the environment variable that holds its API key. "
            f"[default: {build.REWARD_KEY}]",
        ),
    ] = None
    vllm: Annotated[
        str | None,
        typer.Option(
            metavar="OPTIONS",
            help="--policy vllm:MODEL: options of vLLM in one text, as vllm serve takes them: "
            "'--tensor-parallel-size 2'.",
        ),
    ] = None
    reward_vllm: Annotated[
        str | None,
        typer.Option(metavar="OPTIONS", help="--reward vllm:MODEL: the same for its engine."),
    ] = None
    skip_thoughts: Annotated[
        bool,
        typer.Option("--skip-thoughts", help="Show the reward model no thoughts of the policy."),
    ] = False
    device: Device = "cpu"
    dtype: Dtype = "float32"
    shots: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Worked examples before the question, from the training split. [default: as the "
            "field shows a base model: word problems 5, math and math500 4, mbpp 3, else 0; "
            "0 with --chat]",
        ),
    ] = None
    chat: Annotated[bool, typer.Option("--chat", help="Prompt with the model's chat template.")] = (
        False
    )
    sandbox: Sandbox = "process"

    def server(self, active: int | None = None, reward: str | None = None) -> ServerOptions:
        """Return what is said about the policy's server.

        Args:
          active: how many searches run at once, None if it is not said.
          reward: who scores; may be on a server too, which takes some of these options.
        Raises:
          ConfigError: a value cannot be used, or the policy is on no server.
        """
        if self.policy is None or not self.policy.startswith(("http://", "https://")):
            self._refuse_servers_own(reward is not None and build.is_served(reward))
            return ServerOptions()
        fields = {
            "api_key": api_key("--api-key-env", self.api_key_env, KEY_VARIABLE),
            "max_concurrency": active if self.concurrency is None else self.concurrency,
            "timeout_s": self.timeout,
            "max_retries": self.retries,
            "max_step_tokens": self.max_step_tokens,
            "max_solution_tokens": self.max_solution_tokens,
            "extra_body": None if self.extra_body is None else _fields_of(self.extra_body),
        }
        known: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
        return ServerOptions(**known)

    def reward_server(self, reward: str | None, active: int = 64) -> build.RewardServer | None:
        """Return what is said about the reward model's server; None if it is on none.

        Raises:
          ConfigError: a value cannot be used, or the reward model is on no server.
        """
        if reward is None or not build.is_served(reward):
            names = ("reward_model", "reward_tokenizer", "reward_api_key_env")
            used = [name for name in names if getattr(self, name) is not None]
            if used:
                option = "--" + used[0].replace("_", "-")
                raise ConfigError(f"{option} is for a server; --reward must be its URL")
            return None
        if self.reward_tokenizer is not None and build.as_judge(reward) is not None:
            raise ConfigError("--reward-tokenizer is not for a judge, which is asked in words")
        usual = build.RewardServer().options
        options = replace(
            usual,
            api_key=api_key("--reward-api-key-env", self.reward_api_key_env, build.REWARD_KEY),
            max_concurrency=active if self.concurrency is None else self.concurrency,
            timeout_s=usual.timeout_s if self.timeout is None else self.timeout,
            max_retries=usual.max_retries if self.retries is None else self.retries,
        )
        return build.RewardServer(self.reward_model, self.reward_tokenizer, options)

    def reward_settings(self) -> dict[str, Any]:
        """Return what is said of the reward model on its server, for the record of a run."""
        said = {
            "reward_model": self.reward_model,
            "reward_tokenizer": self.reward_tokenizer,
            "skip_thoughts": self.skip_thoughts or None,
        }
        return {name: value for name, value in said.items() if value is not None}

    def choose(
        self, task: Task, strategies: Sequence[Strategy], reward: str | None
    ) -> tuple[str, str | None]:
        """Return the names of a run's models, having checked that they can be opened.

        Args:
          task: what is to be solved.
          strategies: the run's; where none of them scores, there is no reward model.
          reward: what the user named, if anything.
        Raises:
          ConfigError: a name, a device or a data type that cannot be used.
        """
        build.check_device(self.device, self.dtype)
        policy, scorer = build.choose_models(task, strategies, self.policy or None, reward or None)
        self.reward_server(scorer)
        self._check_vllm(policy, scorer)
        build.check_models(policy=policy, reward=scorer, task=task, policy_model=self.policy_model)
        return policy, scorer

    def with_shots(self, task: Task, policy: str) -> tuple[Task, int]:
        """Return the task with its worked examples, and how many they are."""
        return build.choose_shots(task, self.shots, policy, chat=self.chat)

    def full_name(self, policy: str) -> str:
        """Return the policy's name, with the model's on its server."""
        return policy if self.policy_model is None else f"{policy}#{self.policy_model}"

    def open(
        self,
        *,
        policy: str,
        reward: str | None,
        task: Task,
        server: ServerOptions,
        max_batch: int = 64,
    ) -> build.Models:
        """Return the models of a run; arguments as in `build.open_models`."""
        logger.info("policy %s, reward %s, on %s in %s", policy, reward, self.device, self.dtype)
        with loading("torch and the models"):
            models = build.open_models(
                policy=policy,
                policy_model=self.policy_model,
                reward=reward,
                task=task,
                device=self.device,
                dtype=self.dtype,
                chat=self.chat,
                max_batch=max_batch,
                server=server,
                reward_server=self.reward_server(reward, max_batch),
                vllm=self.vllm or "",
                reward_vllm=self.reward_vllm or "",
            )
        if self.skip_thoughts:
            models.reward = build.without_thoughts(models.reward, models.policy)
        return models

    def _check_vllm(self, policy: str, reward: str | None) -> None:
        """Refuse options of vLLM for a model that it does not run."""
        for option, said, name in (
            ("--vllm", self.vllm, policy),
            ("--reward-vllm", self.reward_vllm, reward),
        ):
            if said is not None and not (name or "").startswith("vllm:"):
                model = "--policy" if option == "--vllm" else "--reward"
                raise ConfigError(f"{option} is for {model} vllm:MODEL (got {name})")

    def _refuse_servers_own(self, is_reward_served: bool) -> None:
        """Refuse what is said of the policy's server, but for what the reward model's takes too."""
        named = [name for name, variable in SERVER_VARIABLES.items() if variable not in os.environ]
        taken = {"timeout", "concurrency", "retries"} if is_reward_served else set()
        named = [name for name in (*named, "api_key_env") if name not in taken]
        used = [name for name in named if getattr(self, name) is not None]
        if used:
            option = "--" + used[0].replace("_", "-")
            raise ConfigError(f"{option} is for a server; --policy must be its URL")


def _fields_of(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the extra body (--extra-body) is not JSON ({error})") from None
    if not isinstance(fields, dict):
        raise ConfigError(f"the extra body (--extra-body) must be a JSON object (got {text!r})")
    return fields
