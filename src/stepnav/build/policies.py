"""Policies by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepnav.build.folders import is_in_vllm, is_server, model_folder
from stepnav.build.plugins import as_policy, find, is_outside
from stepnav.core.backend import Backend
from stepnav.core.errors import ConfigError
from stepnav.remote.options import ServerOptions
from stepnav.tasks.task import Task

if TYPE_CHECKING:
    from stepnav.policies.local import PolicyFormat


def open_policy(
    name: str,
    task: Task,
    model: str | None = None,
    *,
    chat: bool,
    local: Mapping[str, Any],
    server: ServerOptions | None = None,
    wants_logprobs: bool = False,
    vllm: str = "",
) -> Backend:
    """Return a policy.

    Args:
      name: a shipped model, a folder, a URL, `FILE.py:NAME` or a plug-in.
      task: gives the prompt of models that have none of their own.
      model: its name on a server.
      chat: whether the question goes through the model's chat template.
      local: settings of a model in this process.
      server: how to use a server; None takes the usual.
      wants_logprobs: ask a server for log-probabilities.
      vllm: options of vLLM, for a name that begins with "vllm:".
    Raises:
      ConfigError: a name or folder that cannot be used.
      BackendError: the server does not answer.
    """
    if is_outside("policies", name):
        return as_policy(find("policies", name), task)
    if not is_server(name):
        return _open_local(name, task, chat, local, vllm)
    from stepnav.policies.openai.backend import OpenAIPolicy

    return OpenAIPolicy(
        name,
        model,
        api="chat" if chat else "auto",
        prompt_template=task.prompt_template,
        chat_template=task.chat_template,
        end_strings=() if chat else task.end_strings,
        answer_pattern=_answer_pattern(task, chat),
        wants_logprobs=wants_logprobs,
        server=server or ServerOptions(),
    )


def policy_format(folder: Path, task: Task, *, chat: bool = False) -> PolicyFormat:
    """Return how a policy is prompted: as its folder says, else as the task shows questions.

    Args:
      folder: of its weights.
      task: what is to be solved.
      chat: whether the question goes through the model's chat template.
    Raises:
      ConfigError: the folder says how, and a chat is asked for.
    """
    from stepnav.policies.local import PolicyFormat

    if has_own_format(folder):
        refuse_chat(str(folder), chat=chat)
        return PolicyFormat.load(folder)
    return PolicyFormat(
        prompt_template=(task.chat_template if chat else None) or task.prompt_template,
        answer_pattern=_answer_pattern(task, chat),
        add_bos=None,  # as harnesses do
        is_chat=chat,
        end_strings=() if chat else task.end_strings,
    )


def has_own_format(folder: Path | None) -> bool:
    """Return whether how a policy is prompted is said beside its weights, as of shipped ones."""
    from stepnav.policies.local.prompt import FILE_NAME

    return folder is not None and (folder / FILE_NAME).exists()


def refuse_chat(policy: str, *, chat: bool) -> None:
    """Refuse a chat with a policy that has a prompt format of its own.

    Raises:
      ConfigError: one is asked for.
    """
    from stepnav.policies.local.prompt import FILE_NAME

    if chat:
        raise ConfigError(
            f"{policy} has a prompt format of its own ({FILE_NAME}); leave --chat out"
        )


def _open_local(name: str, task: Task, chat: bool, local: Mapping[str, Any], vllm: str) -> Backend:
    from stepnav.policies.local import LocalPolicy

    folder = model_folder("policy", name)
    format_ = policy_format(folder, task, chat=chat)
    if is_in_vllm(name):
        from stepnav.policies.vllm import VllmPolicy

        return VllmPolicy(folder, format=format_, options=vllm, **without_device(local))
    return LocalPolicy(folder, format=format_, **local)


def without_device(local: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that vLLM takes too: where it runs is its own affair."""
    return {name: value for name, value in local.items() if name != "device"}


def _answer_pattern(task: Task, chat: bool) -> str | None:
    return (task.chat_answer_pattern if chat else None) or task.answer_pattern
