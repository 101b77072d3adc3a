"""The model that a training begins with: loaded, given a head or adapters, told from encoders."""

from __future__ import annotations

import warnings
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.engine.checkpoint.loading import (
    HEADS,
    load_pretrained,
    load_pretrained_tokenizer,
    load_trainable_classifier,
)
from stepnav.engine.self_check import sees_later_tokens
from stepnav.rewards.local.step_format import StepFormat


def load_training_tokenizer(model: str) -> Any:
    """Return the tokenizer of the model to begin with.

    Raises:
      ConfigError: there is none, or it has no end-of-sequence token.
    """
    tokenizer = load_pretrained_tokenizer(model)
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"the tokenizer of {model} has no end-of-sequence token; add one")
    return tokenizer


def load_network(model: str, format_: StepFormat | None) -> Any:
    """Return a float32 model to train; a classifier gets a new head unless it has a fitting one."""
    if format_ is None:
        network = load_pretrained(model, "causal", device="cpu", dtype="float32")
    else:
        network = load_trainable_classifier(model, num_labels=format_.num_outputs)
        names = [str(label) for label in format_.labels] or ["value"]
        network.config.id2label = dict(enumerate(names))
        network.config.label2id = {name: number for number, name in enumerate(names)}
    if sees_later_tokens(network):
        raise ConfigError(
            f"{model} is an encoder ({type(network).__name__}): its tokens see later ones, so it "
            "would read what it is to rate or to write; begin with a decoder"
        )
    # no checkpoint holds tied weights twice, and the Trainer that goes on would call them missing
    unsaved = network._keys_to_ignore_on_save or ()
    network._keys_to_ignore_on_save = {*unsaved, *network.all_tied_weights_keys}
    return network.train()


def with_adapters(network: Any, rank: int) -> Any:
    """Return the model with low-rank adapters on all linear layers; a head is trained whole.

    Source: Hu et al. 2021.
    """
    try:
        import peft
    except ImportError:
        raise ConfigError("--lora-rank needs peft: pip install 'stepnav[train]'") from None
    head = next((name for name in HEADS if hasattr(network, name)), None)
    config = peft.LoraConfig(
        task_type="TOKEN_CLS" if head else "CAUSAL_LM",
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        fan_in_fan_out=any(type(item).__name__ == "Conv1D" for item in network.modules()),
        modules_to_save=[head] if head else None,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of a name that peft still reads
        return peft.get_peft_model(network, config)
