"""What is known here of a model on a server: its family, tokenizer and structure, no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, one_line
from stepnav.engine.checkpoint.hub import fetch_settings, is_hub_name
from stepnav.engine.checkpoint.loading import load_structure, require_torch
from stepnav.rewards.local.family import Family


def settings_folder(named: str | None, model: str) -> Path:
    """Return the folder with a model's config and tokenizer.

    Args:
      named: a folder or a hub name, as the user gave it; None takes the model's own name for one.
      model: its name on the server, which vLLM takes from the folder or the hub.
    Raises:
      ConfigError: there is none.
    """
    name = model if named is None else named
    if Path(name).is_dir():
        return Path(name)
    if is_hub_name(name):
        return fetch_settings(name)
    raise ConfigError(
        f"there is no folder {name!r} with the config and the tokenizer of the reward model on the "
        "server; name one, or its name on the hub, by --reward-tokenizer (no weights are needed)"
    )


def skeleton(family: Family, folder: Path) -> Any:
    """Return a family's model without weights, by its config alone.

    Raises:
      ConfigError: torch is missing, or the config is no such model's.
    """
    require_torch("transformers")
    try:
        return load_structure(family.model_class(), folder)
    except Exception as error:  # transformers raises many kinds
        raise ConfigError(
            f"{folder / 'config.json'} is not the config of a {family.noun} ({one_line(error)}); "
            "name the folder of the model that is on the server by --reward-tokenizer"
        ) from None
