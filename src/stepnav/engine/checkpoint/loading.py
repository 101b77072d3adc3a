"""Loads models and tokenizers; whatever is wrong with a folder becomes one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from stepnav.core.compute import prepare
from stepnav.core.errors import ConfigError, one_line
from stepnav.core.extras import importing
from stepnav.engine.checkpoint.model_folder import checked_folder
from stepnav.engine.checkpoint.positions import num_positions, steady_length
from stepnav.engine.checkpoint.weights import non_finite_weight, wrong_weights
from stepnav.engine.tokenizer import open_tokenizer

ModelKind = Literal["causal", "labels"]


def require_torch(*others: str) -> None:
    """Import torch and others of its extra; a `ConfigError` says which is missing or broken."""
    # `transformers` takes seconds to import, so it is asked for only where it is used
    prepare()
    with importing("This", " or ".join(("torch", *others)), "local"):
        import torch  # noqa: F401

        for name in others:
            import_module(name)


def special_tokens(tokenizer: Any) -> frozenset[int]:
    """Return the tokens that a tokenizer keeps for marks, those for unknown text among them."""
    added = tokenizer.added_tokens_decoder.items()
    found = {token_id for token_id, token in added if token.special}
    return frozenset(found | set(tokenizer.all_special_ids))


def load_model(path: str | Path, kind: ModelKind, *, device: str, dtype: str) -> Any:
    """Return a model to run: a plain Llama as ours, any other as `transformers` has it.

    Args:
      path, kind, device, dtype: as in `load_pretrained`.
    Raises:
      ConfigError: as in `load_pretrained`.
    """
    require_torch("safetensors")
    from stepnav.engine.checkpoint.llama_folder import open_llama

    folder, device, torch_dtype = checked_folder(path), *_place(device, dtype)
    model = open_llama(folder, kind, device=device, dtype=torch_dtype)
    return model or load_pretrained(path, kind, device=device, dtype=dtype)


def load_pretrained(path: str | Path, kind: ModelKind, *, device: str, dtype: str) -> Any:
    """Return a model of `transformers` in evaluation mode.

    Args:
      path: a `save_pretrained` folder or a hub name.
      kind: "causal" for `AutoModelForCausalLM`, "labels" for `AutoModelForTokenClassification`.
      device: "cpu", "cuda" or "auto" (a CUDA device if there is one).
      dtype: "float32", "bfloat16" or "float16".
    Raises:
      ConfigError: torch is missing, or the folder is missing, incomplete, broken or no such model.
    """
    require_torch("transformers")
    from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

    loader = AutoModelForCausalLM if kind == "causal" else AutoModelForTokenClassification
    return load_with(loader, path, _KIND_NAMES[kind], device=device, dtype=dtype)


def load_with(loader: Any, path: str | Path, kind_name: str, *, device: str, dtype: str) -> Any:
    """Return a model in evaluation mode, loaded by a class of ours or of transformers.

    Code that comes with a checkpoint is never run.

    Args:
      loader: class with `from_pretrained`.
      path: a `save_pretrained` folder or a hub name.
      kind_name: what the model is, for messages.
      device, dtype: as in `load_pretrained`.
    Raises:
      ConfigError: as in `load_pretrained`.
    """
    require_torch("transformers")
    folder, device, torch_dtype = checked_folder(path), *_place(device, dtype)
    try:
        model, report = _loaded(loader, folder, dtype=torch_dtype)
        found = wrong_weights(report, report["missing_keys"])
        if not found:
            model = model.to(device).eval()
            found = non_finite_weight(model)
            if not found:
                return model
    except Exception as error:  # transformers and safetensors raise many kinds
        found = one_line(error)
    raise ConfigError(
        f"{path} cannot be loaded as a {kind_name} ({found}); save or download the model again"
    )


def _loaded(loader: Any, folder: Path, **options: Any) -> tuple[Any, dict[str, Any]]:
    """Return a folder's model as its class loads it, quietly, and what was amiss."""
    found: tuple[Any, dict[str, Any]]
    with without_progress_bar(), _without_load_report():
        found = loader.from_pretrained(
            folder,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            trust_remote_code=False,
            **options,
        )
    return found


def load_structure(loader: Any, folder: Path) -> Any:
    """Return a model without weights, by its config alone: no memory, and no time.

    Args:
      loader: class with `from_config`, or one that takes a config.
      folder: of the config.
    Raises:
      Exception: of whatever kind transformers raises for a config that is none of the class's.
    """
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with torch.device("meta"):
        return getattr(loader, "from_config", loader)(config)


def _place(device: str, dtype: str) -> tuple[str, Any]:
    """Return the device and torch's data type that a user's words stand for."""
    import torch

    if dtype not in ("float32", "bfloat16", "float16"):
        raise ConfigError(f"dtype must be float32, bfloat16 or float16 (got {dtype!r})")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return device, getattr(torch, dtype)


def load_trainable_classifier(path: str | Path, *, num_labels: int) -> Any:
    """Return a float32 token classifier to train, with a new head where the checkpoint has none.

    Args:
      path: a `save_pretrained` folder or a hub name of a language model or a token classifier.
      num_labels: outputs per token.
    Raises:
      ConfigError: the checkpoint has a head with other outputs, or cannot be loaded.
    """
    require_torch("transformers")
    import torch
    from transformers import AutoConfig, AutoModelForTokenClassification

    folder = checked_folder(path)
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        has_head = any("TokenClassification" in name for name in config.architectures or ())
        if has_head and config.num_labels != num_labels:
            raise ConfigError(
                f"{path} is a reward model with {config.num_labels} outputs, and {num_labels} are "
                "to be trained; choose the head that it has, or begin with the model under it"
            )
        config.num_labels = num_labels
        config.classifier_dropout = 0.0  # some architectures have 0.1 where nothing is said
        model, report = _loaded(
            AutoModelForTokenClassification, folder, config=config, dtype=torch.float32
        )
    except ConfigError:
        raise
    except Exception as error:  # transformers and safetensors raise many kinds
        raise ConfigError(
            f"{path} cannot be loaded as a model to train ({one_line(error)}); save or download it "
            "again"
        ) from None
    heads = () if has_head else tuple(f"{head}." for head in HEADS)
    missing = [name for name in report["missing_keys"] if not name.startswith(heads)]
    if found := wrong_weights(report, missing) or non_finite_weight(model):
        raise ConfigError(
            f"{path} cannot be loaded as a model to train ({found}); save or download it again"
        )
    return model


HEADS = ("score", "classifier")
"""What a token classifier's head may be called in transformers."""

_KIND_NAMES = {"causal": "causal language model", "labels": "token classification model"}


def load_tokenizer(path: str | Path, *, has_weights: bool = True) -> Any:
    """Return a model folder's tokenizer to run with: one of ours where its files are plain.

    Args:
      path: a `save_pretrained` folder or a hub name.
      has_weights: whether the folder must hold a whole model.
    Raises:
      ConfigError: there is none, or it cannot be read.
    """
    require_torch("tokenizers")
    folder = checked_folder(path) if has_weights else Path(path)
    return open_tokenizer(folder) or _pretrained_tokenizer(folder)


def load_pretrained_tokenizer(path: str | Path) -> Any:
    """Return a model folder's tokenizer as `transformers` has it.

    Raises:
      ConfigError: there is none, or it cannot be read.
    """
    return _pretrained_tokenizer(checked_folder(path))


def _pretrained_tokenizer(path: Path) -> Any:
    require_torch("transformers")
    from transformers import AutoTokenizer

    names = (
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "vocab.json",
        "vocab.txt",
    )
    if not any((path / name).exists() for name in names):
        raise ConfigError(
            f"{path} has no tokenizer (tokenizer.json); save it beside the model's weights"
        )
    try:
        return AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except Exception as error:
        raise ConfigError(
            f"the tokenizer in {path} cannot be loaded ({one_line(error)}); save it again"
        ) from None


def num_parameters(model: Any) -> int:
    """Return the parameters that work on every token: all but a look-up table of input embeddings.

    A table that is also the output layer (tied) counts once.
    """
    total = sum(parameter.numel() for parameter in model.parameters())
    table = model.get_input_embeddings().weight
    head = model.get_output_embeddings()
    is_tied = head is not None and head.weight is table
    return int(total if is_tied else total - table.numel())


def context_length(model: Any) -> int | None:
    """Return the most tokens that the model reads alike in any pass, None if it does not say.

    A structure without weights is run elsewhere, by other rules: all its positions count.
    """
    limits = [num_positions(model)]
    if not next(model.parameters()).is_meta:
        limits.append(steady_length(model.config.get_text_config()))
    return min((limit for limit in limits if limit is not None), default=None)


def decoder_layers(model: Any) -> Any:
    """Return the list of a decoder's layers, adapters looked through; None if it has none."""
    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    base = whole.base_model
    return getattr(base, "layers", getattr(base, "h", None))


@contextmanager
def without_progress_bar() -> Iterator[None]:
    """Keep transformers' bars for loading and writing weights off the terminal."""
    from transformers.utils import logging

    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


@contextmanager
def _without_load_report() -> Iterator[None]:
    """Keep transformers' report of weights that are missing or new off the terminal."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
