"""What runs without `transformers` gives what `transformers` gives, bit by bit; the rest is left to
it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from stepnav.engine.checkpoint.llama_folder import open_llama
from stepnav.engine.checkpoint.loading import (
    context_length,
    load_model,
    load_pretrained,
    load_pretrained_tokenizer,
    load_tokenizer,
    num_parameters,
    special_tokens,
)
from stepnav.engine.llama import Llama
from stepnav.engine.row import Row
from stepnav.engine.runner import Runner
from stepnav.engine.tokenizer import Tokenizer
from stepnav.zoo import MODELS_FOLDER
from tests.engine.small_models import TEXT, causal_model, class_model, tokenizer
from tests.engine.test_runner import run

SHIPPED = sorted(path.name for path in MODELS_FOLDER.iterdir() if path.is_dir())
SETTINGS: tuple[dict[str, Any], ...] = (
    {"max_batch": 20, "pass_tokens": 70},
    {"max_batch": 3, "pass_tokens": 512},
    {"max_batch": 1, "pass_tokens": 512, "row_step": 1},
)
"""Packed passes of many rows and of few, and plain ones: a row at a time, nothing padded."""


def kind_of(name: str) -> Any:
    return "labels" if name.endswith("-prm") else "causal"


def outputs(model: Any, *, has_logits: bool, **settings: Any) -> list[Any]:
    """Return the outputs of rows that share beginnings, are cut into passes and keep few
    positions."""
    rng = random.Random(0)
    size = model.config.vocab_size
    trunk = [rng.randrange(size) for _ in range(60)]
    rows = []
    for _ in range(20):
        tokens = trunk[: rng.randrange(1, 60)]
        tokens = tokens + [rng.randrange(size) for _ in range(rng.randrange(1, 150))]
        rows.append(Row(tokens, (*range(0, len(tokens) - 1, 7), len(tokens) - 1)))
    run(Runner(model, has_logits=has_logits, **settings), rows)
    return [torch.stack([row.outputs[at] for at in row.wanted]) for row in rows]


def check_same(folder: Path, kind: Any, dtype: str = "float32") -> None:
    ours = load_model(folder, kind, device="cpu", dtype=dtype)
    theirs = load_pretrained(folder, kind, device="cpu", dtype=dtype)
    assert isinstance(ours, Llama)
    assert not isinstance(theirs, Llama)
    assert num_parameters(ours) == num_parameters(theirs)
    assert context_length(ours) == context_length(theirs)
    assert dict(theirs.named_parameters()).keys() == dict(ours.named_parameters()).keys()
    for settings in SETTINGS:
        found = outputs(ours, has_logits=kind == "causal", **settings)
        expected = outputs(theirs, has_logits=kind == "causal", **settings)
        assert all(torch.equal(one, other) for one, other in zip(found, expected))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_give_the_bits_that_transformers_gives(name: str) -> None:
    check_same(MODELS_FOLDER / name, kind_of(name))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_give_what_plain_forward_passes_give(name: str) -> None:
    kind = kind_of(name)
    theirs = load_pretrained(MODELS_FOLDER / name, kind, device="cpu", dtype="float32")
    ours = load_model(MODELS_FOLDER / name, kind, device="cpu", dtype="float32")
    tokens = [3 + (7 * at * at) % 700 for at in range(200)]
    with torch.inference_mode():
        expected = theirs(input_ids=torch.tensor([tokens])).logits[0]
    row = Row(tokens, (*range(200),))
    run(Runner(ours, has_logits=kind == "causal"), [row])
    found = torch.stack([row.outputs[at] for at in row.wanted])
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "model",
    [
        lambda: causal_model("llama"),
        lambda: causal_model("llama-mha"),
        lambda: causal_model("llama", tie_word_embeddings=True, head_dim=24),
        lambda: causal_model("llama", attention_bias=True, rope_theta=500_000),
        lambda: class_model("llama", num_labels=1),
        lambda: class_model("llama", attention_bias=True),
    ],
    ids=["grouped", "plain", "tied", "biased", "value", "classes"],
)
def test_other_llamas_give_the_bits_that_transformers_gives(
    tmp_path: Path, model: Any, dtype: str
) -> None:
    made = model()
    made.save_pretrained(tmp_path)
    check_same(tmp_path, "labels" if hasattr(made, "score") else "causal", dtype)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    causal_model().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    return tmp_path


def change(path: Path, **fields: Any) -> None:
    """Set fields of a JSON file, and take out those that are None."""
    found = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({k: v for k, v in found.items() if v is not None}))


@pytest.mark.parametrize(
    "fields",
    [
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}},
        {
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "partial_rotary_factor": 1,
            }
        },
        {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}, "rope_parameters": None},
        {"sliding_window": 8},
        {"hidden_act": "gelu"},
        {"model_type": "mistral"},
        {"architectures": ["LlamaForTokenClassification"]},
        {"num_key_value_heads": None},
        {"quantization_config": {"quant_method": "gptq"}},
        {"vocab_size": "299"},
        {"rms_norm_eps": True},
        {"attention_bias": 0},
    ],
    ids=str,
)
def test_what_is_not_known_is_left_to_transformers(folder: Path, fields: dict[str, Any]) -> None:
    assert open_llama(folder, "causal", device="cpu", dtype=torch.float32) is not None
    change(folder / "config.json", **fields)
    assert open_llama(folder, "causal", device="cpu", dtype=torch.float32) is None


def test_where_a_checkpoint_came_from_changes_nothing(folder: Path) -> None:
    change(folder / "config.json", _model_name_or_path="SmolLM2", unk_token_id=0)
    assert type(load_model(folder, "causal", device="cpu", dtype="float32")) is Llama


def test_a_llama_with_biases_in_its_mlp_runs_through_transformers(tmp_path: Path) -> None:
    causal_model("llama", mlp_bias=True).save_pretrained(tmp_path)
    model = load_model(tmp_path, "causal", device="cpu", dtype="float32")
    assert type(model).__name__ == "LlamaForCausalLM"


@pytest.mark.parametrize("name", ["adapter_config.json", "model.safetensors.index.json"])
def test_adapters_and_shards_are_left_to_transformers(folder: Path, name: str) -> None:
    (folder / name).write_text("{}")
    assert open_llama(folder, "causal", device="cpu", dtype=torch.float32) is None


def test_weights_that_do_not_fit_are_left_to_transformers(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    for name, value in {
        "model.norm.weight": torch.ones(31),
        "lm_head.weight": weights["lm_head.weight"].long(),
        "model.norm.bias": torch.zeros(32),
    }.items():
        save_file({**weights, name: value}, folder / "model.safetensors")
        assert open_llama(folder, "causal", device="cpu", dtype=torch.float32) is None


@pytest.mark.parametrize("name", [*SHIPPED, "small"])
def test_a_tokenizer_gives_the_tokens_that_transformers_gives(name: str, tmp_path: Path) -> None:
    folder = tmp_path if name == "small" else MODELS_FOLDER / name
    if name == "small":
        tokenizer().save_pretrained(tmp_path)
        causal_model().save_pretrained(tmp_path)
    ours, theirs = load_tokenizer(folder), load_pretrained_tokenizer(folder)
    assert isinstance(ours, Tokenizer)
    assert not isinstance(theirs, Tokenizer)
    texts = [
        TEXT,
        "",
        " ",
        "\n\n",
        "<s>a</s><pad><unk>",
        "½ é 漢字 \x00\r\n\t",
        "    return x % 2\n",
    ]
    for text in texts:
        for special in (False, True):
            ids = ours.encode(text, add_special_tokens=special)
            assert ids == theirs.encode(text, add_special_tokens=special)
            assert ours.decode(ids) == theirs.decode(ids, clean_up_tokenization_spaces=False)
    for attribute in ("bos_token", "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert ours.get_vocab() == theirs.get_vocab()
    assert special_tokens(ours) == special_tokens(theirs)
    assert ours.added_tokens_decoder.keys() == theirs.added_tokens_decoder.keys()
    assert ours.convert_ids_to_tokens(0) == theirs.convert_ids_to_tokens(0)
    assert ours.chat_template == theirs.chat_template


@pytest.mark.parametrize(
    "fields",
    [
        {"tokenizer_class": "LlamaTokenizer"},
        {"eos_token": "<end>"},
        {"extra_special_tokens": ["<mark>"]},
        {"chat_template": "{{ messages }}"},
        {"add_bos_token": True},
        {"split_special_tokens": True},
    ],
    ids=str,
)
def test_a_tokenizer_with_settings_of_its_own_is_left_to_transformers(
    folder: Path, fields: dict[str, Any]
) -> None:
    assert isinstance(load_tokenizer(folder), Tokenizer)
    change(folder / "tokenizer_config.json", **fields)
    assert not isinstance(load_tokenizer(folder), Tokenizer)


def test_a_chat_template_beside_a_tokenizer_is_used(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}!")
    assert load_tokenizer(folder).chat_template
