"""Fetches a checkpoint's files from the Hugging Face hub; never code."""

from __future__ import annotations

import re
from pathlib import Path

from stepnav.core.errors import ConfigError, one_line

_SMALL = ["*.json", "*.jinja", "*.model", "*.txt"]
_WEIGHTS = (["*.safetensors"], ["*.bin"])


def is_hub_name(name: str) -> bool:
    """Return whether this could be OWNER/NAME on the hub; it could be a folder as well."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", name) is not None


def fetch_settings(name: str) -> Path:
    """Return the local folder of a hub checkpoint's config and tokenizer, without its weights.

    Raises:
      ConfigError: as `fetch_model`.
    """
    return _fetched(name, [])


def fetch_model(name: str) -> Path:
    """Return the local folder of a hub checkpoint: config, tokenizer and weights.

    Weights are fetched as safetensors if the checkpoint has them.
    Files that were fetched before are not fetched again, and offline those are used.

    Raises:
      ConfigError: it is not there, is not public, cannot be reached, or has no weights.
    """
    for weights in _WEIGHTS:
        folder = _fetched(name, weights)
        if any(path for pattern in weights for path in folder.glob(pattern)):
            return folder
    raise ConfigError(f"{name} on the hub has no weights (*.safetensors or *.bin)")


def _fetched(name: str, weights: list[str]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=[*_SMALL, *weights]))
    except Exception as error:  # huggingface_hub and its HTTP client raise many kinds
        raise ConfigError(
            f"no model folder {name!r}, and the hub has not given one either ({one_line(error)}); "
            "check the name and the connection, log in if the model is gated (hf auth login), or "
            "give a folder"
        ) from None
