"""Which kind of reward model a checkpoint is, told by its own files.

Looked at, in order: a format file of ours beside the weights, the architecture in `config.json`,
the names of the weights, added tokens, and, for a plain causal language model, its name: the file
of one that writes labels looks like that of any other. The name in its config counts for nothing: a
policy that was tuned from a reward model keeps it. What cannot be told is an error; `FAMILY:FOLDER`
says it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepnav.core.errors import ConfigError, one_line
from stepnav.rewards.families.chat_labels import RLHFLOW
from stepnav.rewards.families.label_tokens import MATH_SHEPHERD
from stepnav.rewards.families.outcome import ORM
from stepnav.rewards.families.prm import PRM, TOKEN_CLASSES
from stepnav.rewards.families.qwen_prm import QWEN_PRM
from stepnav.rewards.families.skywork import SKYWORK
from stepnav.rewards.local.family import Family
from stepnav.rewards.local.reward import LocalReward

FAMILIES: Mapping[str, Family] = {
    "prm": PRM,
    "token-classes": TOKEN_CLASSES,
    "qwen-prm": QWEN_PRM,
    "math-shepherd": MATH_SHEPHERD,
    "rlhflow": RLHFLOW,
    "skywork": SKYWORK,
    "orm": ORM,
}
"""By the names that users give them."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint's small files say.

    Attributes:
      name: hub name, or name of the folder.
      files: names of its files.
      architectures: class names of the model, from `config.json`.
      weights: names of the tensors; empty where they cannot be listed without loading.
      added_tokens: tokens beyond the tokenizer's own vocabulary.
    """

    name: str
    files: frozenset[str]
    architectures: tuple[str, ...]
    weights: frozenset[str]
    added_tokens: frozenset[str]


def split_family(name: str) -> tuple[str | None, str]:
    """Return the family and folder of "FAMILY:FOLDER"; None and the name if it names no family."""
    family, colon, rest = name.partition(":")
    return (family, rest) if colon and family in FAMILIES else (None, name)


def open_checkpoint(
    folder: Path, *, name: str = "", family: str | None = None, **options: Any
) -> LocalReward:
    """Return the reward model in a folder.

    Args:
      folder: made by `save_pretrained`, or fetched from the hub.
      name: what the user called it; helps to tell a causal language model's family.
      family: key of `FAMILIES`; None finds out.
      options: as in `LocalReward.open`: device, dtype, max_batch.
    Raises:
      ConfigError: the family cannot be told, or the checkpoint cannot be used.
    """
    chosen = family or recognise(read_checkpoint(folder, name))
    return LocalReward.open(FAMILIES[chosen], folder, **options)


def recognise(checkpoint: Checkpoint) -> str:
    """Return the family of a checkpoint, a key of `FAMILIES`.

    Raises:
      ConfigError: it cannot be told.
    """
    architectures = " ".join(checkpoint.architectures)
    if "stepnav_prm.json" in checkpoint.files:
        return "prm"
    if "stepnav_label_tokens.json" in checkpoint.files:
        return "math-shepherd"
    if "ForProcessRewardModel" in architectures:
        return "qwen-prm"
    has_value_head = any(name.startswith("v_head.") for name in checkpoint.weights)
    if has_value_head or re.search(r"ForPrmModel|PRM_MODEL", architectures):
        return "skywork"
    if "ForTokenClassification" in architectures:
        return "token-classes"
    if "ForSequenceClassification" in architectures:
        return "orm"
    if "ForCausalLM" in architectures and (found := _label_writer(checkpoint)):
        return found
    raise ConfigError(
        f"{checkpoint.name}: a {architectures or 'model of no named architecture'} is not known as "
        "a reward model; if it is one, say which kind, for instance math-shepherd:FOLDER, from "
        f"{', '.join(FAMILIES)} (docs/reward-models.md)"
    )


def _label_writer(checkpoint: Checkpoint) -> str | None:
    """Return the family of a causal language model that writes labels, None if it tells none."""
    name = checkpoint.name.lower()
    if "ки" in checkpoint.added_tokens or ("shepherd" in name and "prm" in name):
        return "math-shepherd"
    if re.search(r"rlhflow.*prm|llama-?3\.1-8b-prm-(deepseek|mistral)-data", name):
        return "rlhflow"
    return None


def read_checkpoint(folder: Path, name: str = "") -> Checkpoint:
    """Return what a folder's small files say.

    Raises:
      ConfigError: `config.json` is missing or broken.
    """
    config = _read_json(folder / "config.json")
    if config is None:
        raise ConfigError(f"{folder} is not a model folder: it has no config.json")
    if not isinstance(config, dict):
        raise ConfigError(f"{folder / 'config.json'} is no model's config; save the model again")
    found = config.get("architectures")
    classes = found if isinstance(found, list) else []
    return Checkpoint(
        name or folder.resolve().name,
        frozenset(path.name for path in folder.iterdir()),
        tuple(name for name in classes if isinstance(name, str)),
        _weight_names(folder),
        _added_tokens(folder),
    )


def _weight_names(folder: Path) -> frozenset[str]:
    for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        found = _read_json(folder / index)
        if found is None:
            continue
        if not isinstance(found, dict) or not isinstance(found.get("weight_map"), dict):
            raise ConfigError(f"{folder / index} is no index of weights; download the model again")
        return frozenset(found["weight_map"])
    path = folder / "model.safetensors"
    if not path.is_file():
        return frozenset()
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, 2**27)))
    except (OSError, ValueError):
        return frozenset()  # loading will say what is wrong
    return frozenset(header if isinstance(header, dict) else ()) - {"__metadata__"}


def _added_tokens(folder: Path) -> frozenset[str]:
    path = folder / "tokenizer.json"
    tokenizer = _read_json(path)
    if tokenizer is None:
        return frozenset()
    try:
        return frozenset(token["content"] for token in tokenizer.get("added_tokens", ()))
    except (AttributeError, KeyError, TypeError):
        raise ConfigError(f"{path} is no tokenizer; save or download it again") from None


def _read_json(path: Path) -> Any:
    """Return a file's content, None if there is no such file.

    Raises:
      ConfigError: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path} cannot be read ({one_line(error)})") from None
