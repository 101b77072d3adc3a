"""Options on who proposes and how it runs: in this process, or on a server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from stepnav import build
from stepnav.cli.options.api_key import api_key
from stepnav.cli.options.shared import Device, Dtype, Sandbox
from stepnav.core.errors import ConfigError
from stepnav.remote.options import ServerOptions

SERVER_VARIABLES: Mapping[str, str] = {
    "timeout": "STEPNAV_TIMEOUT",
    "concurrency": "STEPNAV_CONCURRENCY",
    "retries": "STEPNAV_RETRIES",
    "max_step_tokens": "STEPNAV_MAX_STEP_TOKENS",
    "max_solution_tokens": "STEPNAV_MAX_SOLUTION_TOKENS",
    "extra_body": "STEPNAV_EXTRA_BODY",
}
"""Option of a server -> the environment variable that stands in for it."""

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
            return _USUAL
        return self._how(
            _USUAL,
            active,
            api_key=api_key("--api-key-env", self.api_key_env, KEY_VARIABLE),
            max_step_tokens=self.max_step_tokens,
            max_solution_tokens=self.max_solution_tokens,
            extra_body=None if self.extra_body is None else _fields_of(self.extra_body),
        )

    def reward_server(self, reward: str | None, active: int = 64) -> build.RewardServer | None:
        """Return what is said about the reward model's server; None if it is on none.

        Raises:
          ConfigError: a value cannot be used, or the reward model is on no server.
        """
        if reward is None or not build.is_served(reward):
            names = ("reward_model", "reward_tokenizer", "reward_api_key_env")
            self._refuse_servers(names, "--reward")
            return None
        if self.reward_tokenizer is not None and build.as_judge(reward) is not None:
            raise ConfigError("--reward-tokenizer is not for a judge, which is asked in words")
        key = api_key("--reward-api-key-env", self.reward_api_key_env, build.REWARD_KEY)
        options = self._how(build.RewardServer().options, active, api_key=key)
        return build.RewardServer(self.reward_model, self.reward_tokenizer, options)

    def _how(self, usual: ServerOptions, active: int | None, **own: Any) -> ServerOptions:
        """Return how a server is used: as usual but for what is said."""
        said = {
            "max_concurrency": active if self.concurrency is None else self.concurrency,
            "timeout_s": self.timeout,
            "max_retries": self.retries,
            **own,
        }
        return replace(usual, **{name: value for name, value in said.items() if value is not None})

    def reward_settings(self) -> dict[str, Any]:
        """Return what is said of the reward model on its server, for the record of a run."""
        said = {
            "reward_model": self.reward_model,
            "reward_tokenizer": self.reward_tokenizer,
            "skip_thoughts": self.skip_thoughts or None,
        }
        return {name: value for name, value in said.items() if value is not None}

    def _refuse_servers_own(self, is_reward_served: bool) -> None:
        """Refuse what is said of the policy's server, but for what the reward model's takes too."""
        named = [name for name, variable in SERVER_VARIABLES.items() if variable not in os.environ]
        taken = {"timeout", "concurrency", "retries"} if is_reward_served else set()
        self._refuse_servers([n for n in (*named, "api_key_env") if n not in taken], "--policy")

    def _refuse_servers(self, names: Sequence[str], model: str) -> None:
        """Refuse options of a server where the model is on none."""
        used = [name for name in names if getattr(self, name) is not None]
        if used:
            option = "--" + used[0].replace("_", "-")
            raise ConfigError(f"{option} is for a server; {model} must be its URL")


def _fields_of(text: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the extra body (--extra-body) is not JSON ({error})") from None
    if not isinstance(fields, dict):
        raise ConfigError(f"the extra body (--extra-body) must be a JSON object (got {text!r})")
    return fields
