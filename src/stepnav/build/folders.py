"""Where a model's weights are: a shipped model, a folder of the user's own, the hub, a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from stepnav.build.plugins import is_outside
from stepnav.core.errors import ConfigError, nearest
from stepnav.engine.checkpoint.hub import fetch_model, is_hub_name
from stepnav.tasks.task import Task

VLLM = "vllm:"
"""Before a model's name: vLLM runs it, in this process."""


def is_in_vllm(name: str) -> bool:
    """Return whether a model's name says that vLLM runs it."""
    return name.startswith(VLLM)


def policy_folder(name: str) -> Path | None:
    """Return the folder of a policy's weights; None if it is on a server.

    Raises:
      ConfigError: there is no such folder.
    """
    if is_server(name) or is_outside("policies", name):
        return None
    return model_folder("policy", name)


def is_server(policy: str) -> bool:
    """Return whether a policy's name is the URL of a server."""
    return policy.startswith(("http://", "https://"))


def hub_name(name: str) -> str:
    """Return a name if it is one on the hub, else nothing."""
    return name if is_hub_name(name) else ""


def shipped_model(task: Task, kind: Literal["policy", "prm"]) -> str:
    """Return the name of the model that ships for a task.

    Raises:
      ConfigError: none does.
    """
    from stepnav.zoo import MODELS_FOLDER

    if not (MODELS_FOLDER / f"{task.name}-{kind}").is_dir():
        option, noun = ("policy", "policy") if kind == "policy" else ("reward", "reward model")
        raise ConfigError(f"no {noun} ships for the task {task.name}; name one with --{option}")
    return task.name


def backbone_accuracy(task: str, reward: str | None) -> tuple[float, str] | None:
    """Return how often the language model under a shipped reward model is right by itself.

    It is the same size as the policy, so it is what a search with that reward model must be seen
    beside. Of its greedy solutions, as measured when the models were made.

    Returns:
      The share and the split of the task; None where it is not known.
    """
    from stepnav.zoo import MODELS_FOLDER

    path = MODELS_FOLDER / f"{task}-prm" / "evaluation.json"
    if reward != task or not path.is_file():
        return None
    found = json.loads(path.read_text())
    accuracy = found.get("backbone", {}).get("greedy_accuracy")
    return None if accuracy is None else (accuracy, found["split"])


def model_folder(kind: str, name: str) -> Path:
    """Return the folder of a shipped model, of the user's own, or of one fetched from the hub."""
    from stepnav.zoo import MODELS_FOLDER

    name = name.removeprefix(VLLM)
    if not name.strip():
        raise ConfigError("a model has an empty name; give a folder, a hub name or a shipped model")
    shipped = MODELS_FOLDER / f"{name}-{kind}"
    if "/" not in name and shipped.is_dir():
        return shipped
    folder = Path(name)
    if not folder.is_dir() and is_hub_name(name):
        return fetch_model(name)
    if folder.suffix == ".py" and not folder.is_dir():
        raise ConfigError(f"{name} is a file; name what is in it: give FILE.py:NAME")
    if not folder.is_dir():
        suffix = f"-{kind}"
        names = [p.name.removesuffix(suffix) for p in MODELS_FOLDER.glob(f"*{suffix}")]
        raise ConfigError(
            f"no model folder {name!r}{nearest(name, names)}; give a folder made by "
            f"save_pretrained, a hub name, or a shipped model: {', '.join(sorted(names)) or 'none'}"
        )
    return folder
