"""Opens the model folders that `Llama` can run: plain ones, whole in every respect.

What is unknown or amiss is left to `transformers`, which can run it or say what is wrong.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stepnav.engine.checkpoint.weights import non_finite_weight
from stepnav.engine.llama import Llama, LlamaConfig

_MUST_BE = {"model_type": "llama", "hidden_act": "silu", "mlp_bias": False, "pretraining_tp": 1}

_HEADS = {"causal": "LlamaForCausalLM", "labels": "LlamaForTokenClassification"}

_WITHOUT_EFFECT = {
    "_model_name_or_path", "attention_dropout", "bos_token_id", "classifier_dropout", "dtype",
    "initializer_range", "label2id", "pad_token_id", "transformers_version", "unk_token_id",
    "use_cache",
}  # fmt: skip
"""Settings that do not change what a model in evaluation mode gives for tokens without padding."""

_OTHER_FILES = ("model.safetensors.index.json", "adapter_config.json")


def open_llama(folder: Path, kind: str, *, device: str, dtype: Any) -> Llama | None:
    """Return a folder's model, None if `transformers` must open it.

    Args:
      folder: a `save_pretrained` folder.
      kind: "causal" or "labels".
      device: "cpu", "cuda" or "cuda:N".
      dtype: torch's, of the weights.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = llama_config(json.loads((folder / "config.json").read_text()), kind)
        if config is None or any((folder / name).exists() for name in _OTHER_FILES):
            return None
        with torch.device("meta"):  # nothing is filled with random numbers first
            model = Llama(config, _generation_config(folder))
        wanted = {name: weight.shape for name, weight in model.named_parameters()}
        weights = load_file(folder / "model.safetensors", device=device)
        if {name: weight.shape for name, weight in weights.items()} != wanted:
            return None
        if not all(weight.is_floating_point() for weight in weights.values()):
            return None
        weights = {name: weight.to(dtype) for name, weight in weights.items()}
        model.load_state_dict(weights, assign=True)
        model.to(device)  # what is no weight
    except (OSError, ValueError, TypeError, SafetensorError):
        return None
    return None if non_finite_weight(model) else model.requires_grad_(False).eval()


def llama_config(found: Any, kind: str) -> LlamaConfig | None:
    """Return the config of a Llama that is run here, None for any other model.

    Args:
      found: content of `config.json`; a setting that is not known here may mean anything.
      kind: "causal" or "labels".
    """
    if not isinstance(found, dict):
        return None
    settings = {name: value for name, value in found.items() if name not in _WITHOUT_EFFECT}
    must_be = {**_MUST_BE, "architectures": [_HEADS[kind]]}
    rope, names = settings.pop("rope_parameters", None), settings.pop("id2label", {})
    if {name: settings.pop(name, None) for name in must_be} != must_be:
        return None
    if not isinstance(rope, dict) or rope != {**rope, "rope_type": "default"} or len(rope) != 2:
        return None
    settings |= {"rope_theta": rope.get("rope_theta"), "id2label": {}}
    if kind == "labels":
        if [*names] != [str(at) for at in range(len(names))] or not names:
            return None
        settings["id2label"] = dict(enumerate(names.values()))
    return LlamaConfig(**settings) if _fits(settings) else None


def _fits(settings: dict[str, Any]) -> bool:
    """Return whether settings are all that `LlamaConfig` has, of its types, and go together."""
    kinds = {"int": (int,), "float": (int, float), "bool": (bool,)}
    for field in fields(LlamaConfig):
        if field.name not in settings:
            return False
        value, allowed = settings[field.name], kinds.get(str(field.type))
        if allowed and (type(value) not in allowed or (bool not in allowed and value <= 0)):
            return False
    return (
        len(settings) == len(fields(LlamaConfig))
        and settings["head_dim"] % 2 == 0
        and settings["num_attention_heads"] % settings["num_key_value_heads"] == 0
        and settings["hidden_size"] % settings["num_attention_heads"] == 0
    )


def _generation_config(folder: Path) -> Any:
    """Return the settings for writing text that are saved beside a model, None for none."""
    path = folder / "generation_config.json"
    return SimpleNamespace(**json.loads(path.read_text())) if path.exists() else None
