"""Broken model folders: each becomes one line that says what, and what to do."""

from __future__ import annotations

import builtins
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from stepnav.core.errors import ConfigError
from stepnav.core.requests import Propose
from stepnav.engine.checkpoint.loading import (
    context_length,
    load_structure,
    load_trainable_classifier,
)
from stepnav.engine.checkpoint.weights import non_finite_weight
from stepnav.policies.local import LocalPolicy, PolicyFormat
from tests.engine.small_models import causal_model, class_model, poll_all, prefix, tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    causal_model().save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def refusal(path: Any, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        LocalPolicy(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_saved_model_writes_as_the_loaded_one(folder: Path) -> None:
    PolicyFormat(prompt_template="Q: {question}\nA:", separator=".").save(folder)
    request = Propose(prefix(1), 8, seed=3)
    items = []
    for backend in (
        LocalPolicy(folder, device="cpu"),
        LocalPolicy(causal_model(), tokenizer(), format=PolicyFormat.load(folder)),
    ):
        backend.submit(0, request)
        items.append(poll_all(backend, 1)[0].items)
    assert items[0] == items[1]
    assert any(step.text.rstrip("\n").endswith(".") for step in items[0])


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "there is no model folder" in refusal(tmp_path / "nothing")
    assert "there is no model folder" in refusal("nothing")


def test_a_file_instead_of_a_folder(folder: Path) -> None:
    assert "is a file" in refusal(folder / "config.json")


@pytest.mark.parametrize(
    ("name", "says"), [("config.json", "no config.json"), ("model.safetensors", "no weights")]
)
def test_a_missing_file(folder: Path, name: str, says: str) -> None:
    (folder / name).unlink()
    assert says in refusal(folder)


def test_truncated_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "cannot be loaded as a causal language model" in refusal(folder)


def test_a_broken_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": ')
    assert "cannot be read" in refusal(folder)
    (folder / "config.json").write_text('{"model_type": "no-such-thing"}')
    assert "cannot be loaded" in refusal(folder)


def test_no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert "no tokenizer" in refusal(folder)


def test_a_broken_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    assert "tokenizer" in refusal(folder)


def test_bad_options(folder: Path) -> None:
    assert "dtype" in refusal(folder, dtype="int3")
    assert "max_batch" in refusal(folder, max_batch=0)
    assert "needs its tokenizer" in refusal(causal_model())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"separator": ""}', "separator must not be empty"),
        ('{"separator": 5}', "separator must be text (got 5)"),
        ('{"prompt_template": 5}', "prompt_template must be text (got 5)"),
        ('{"answer_pattern": 5}', "answer_pattern must be text, or nothing (got 5)"),
        ('{"add_bos": "false"}', "add_bos must be true or false, or nothing (got 'false')"),
        ('{"is_chat": null}', "is_chat must be true or false (got None)"),
        ('{"system_prompt": []}', "system_prompt must be text, or nothing (got [])"),
        ('{"end_strings": "Question:"}', "end_strings must be a list of texts (got 'Question:')"),
        ('{"end_strings": [5]}', "each end string must be text"),
        ('{"seperator": "x"}', "seperator"),
        ("[", "Expecting value"),
    ],
)
def test_a_bad_saved_format(folder: Path, text: str, says: str) -> None:
    (folder / "stepnav_policy.json").write_text(text)
    told = refusal(folder)
    assert "stepnav_policy.json is not a valid policy format" in told
    assert says in told


@pytest.mark.parametrize("text", ["[1]", "5"])
def test_bad_saved_settings_for_writing(folder: Path, text: str) -> None:
    (folder / "generation_config.json").write_text(text)
    assert "cannot be loaded as a causal language model" in refusal(folder)


def test_a_template_without_the_question() -> None:
    with pytest.raises(ConfigError, match="question"):
        PolicyFormat(prompt_template="Solve this")
    with pytest.raises(ConfigError, match="regular expression"):
        PolicyFormat(answer_pattern="(")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            "This needs torch: pip install 'stepnav[local]'.",
        ),
        (
            ImportError("libcudart.so.12: cannot open shared object file", name="_C"),
            "torch is there and cannot be loaded (ImportError: 'libcudart.so.12: cannot open "
            "shared object file'); install it again, or give this process more memory",
        ),
    ],
)
def test_torch_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: ImportError, says: str
) -> None:
    real = builtins.__import__

    def without_torch(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "torch":
            raise error
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_torch)
    assert refusal(tmp_path) == says


def test_weights_of_another_kind_of_model(tmp_path: Path) -> None:
    path = tmp_path / "prm"
    class_model().save_pretrained(path)
    tokenizer().save_pretrained(path)
    assert "its weights lack lm_head.weight" in refusal(path)


def test_a_head_of_another_shape_is_named_in_training_too(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    class_model().save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["score.weight"] = weights["score.weight"][:2].clone()
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"its score\.weight is \[2, 32\], .* asks for \[3, 32\]"):
        load_trainable_classifier(tmp_path, num_labels=3)


def test_positions_that_begin_after_the_padding_are_no_room() -> None:
    from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

    sizes = {
        "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
        "vocab_size": 9, "max_position_embeddings": 34,
    }  # fmt: skip
    roberta = RobertaModel(RobertaConfig(**sizes, pad_token_id=1))
    assert context_length(roberta) == 32
    assert context_length(BertModel(BertConfig(**sizes))) == 34
    assert roberta(torch.full((1, 32), 5)).last_hidden_state.shape == (1, 32, 8)


@pytest.mark.parametrize("make", [causal_model, class_model])
def test_a_pass_keeps_to_the_length_at_which_positions_change(make: Any) -> None:
    model = make("phi3-longrope")
    assert context_length(model) == 64
    for layers in ("sliding_attention", "full_attention"):  # as Gemma 3 has them
        model.config.rope_parameters = {
            "other": {"rope_type": "default"},
            layers: {"rope_type": "longrope", "original_max_position_embeddings": 48},
        }
        assert context_length(model) == 48
    model.config.max_position_embeddings = 32
    assert context_length(model) == 32


def test_positions_that_change_beyond_all_others_shorten_nothing() -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0}
    assert context_length(causal_model(rope_parameters=rope)) == 512


def test_a_model_that_is_run_elsewhere_has_all_its_positions(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    causal_model("phi3-longrope").config.save_pretrained(tmp_path)
    assert context_length(load_structure(AutoModelForCausalLM, tmp_path)) == 512


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    model = causal_model()
    last = list(model.parameters())[-2]
    with torch.no_grad():
        last.view(-1)[-1] = value
    model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    assert "holds NaN or infinite numbers" in refusal(tmp_path)
    with pytest.raises(ConfigError, match="holds NaN or infinite numbers"):
        load_trainable_classifier(tmp_path, num_labels=3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_huge_weights_are_numbers(dtype: Any) -> None:
    model = causal_model().to(dtype)
    with torch.no_grad():
        next(model.parameters()).fill_(torch.finfo(dtype).max)
    assert non_finite_weight(model) == ""
