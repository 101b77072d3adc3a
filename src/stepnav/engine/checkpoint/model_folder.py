"""Where a model lies: a folder as `save_pretrained` leaves it, or one fetched from the hub."""

from __future__ import annotations

import json
from pathlib import Path

from stepnav.core.errors import ConfigError, one_line
from stepnav.engine.checkpoint.hub import fetch_model, is_hub_name

_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def model_folder(path: str | Path) -> Path:
    """Return a model's folder, which a hub name is fetched into.

    Raises:
      ConfigError: there is no such folder, nor such a model on the hub.
    """
    if Path(path).exists():
        return Path(path)
    if isinstance(path, str) and is_hub_name(path):
        return fetch_model(path)
    raise ConfigError(f"there is no model folder {path}; give a folder or a hub name")


def checked_folder(path: str | Path) -> Path:
    """Return a model's folder that has what each must: a readable config and weights.

    Raises:
      ConfigError: it lacks one of them, or there is no such folder.
    """
    folder = model_folder(path)
    if not folder.is_dir():
        raise ConfigError(f"{path} is a file, not a model folder; give the folder that holds it")
    config = folder / "config.json"
    if not config.exists():
        raise ConfigError(f"{path} is not a model folder: it has no config.json")
    try:
        json.loads(config.read_text())
    except (ValueError, OSError) as error:
        raise ConfigError(f"{config} cannot be read ({one_line(error)})") from None
    if not any((folder / name).exists() for name in _WEIGHTS):
        raise ConfigError(f"{path} has no weights (model.safetensors); copy or download them")
    return folder
