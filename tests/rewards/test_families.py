"""How a checkpoint's family is told, and what is said where it cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepnav import build
from stepnav.build import rewards
from stepnav.core.errors import ConfigError
from stepnav.rewards.families.label_tokens import LabelTokens
from stepnav.rewards.families.recognise import (
    FAMILIES,
    Checkpoint,
    open_checkpoint,
    read_checkpoint,
    recognise,
)
from stepnav.rewards.local.reward import LocalReward
from tests.engine.small_models import causal_model, class_model, tokenizer
from tests.rewards import public_models
from tests.rewards.public_models import MAKERS

CAUSAL = "MistralForCausalLM"


def checkpoint(
    name: str = "model",
    architecture: str = "",
    *,
    files: tuple[str, ...] = (),
    weights: tuple[str, ...] = (),
    added: tuple[str, ...] = (),
) -> Checkpoint:
    architectures = (architecture,) if architecture else ()
    return Checkpoint(name, frozenset(files), architectures, frozenset(weights), frozenset(added))


@pytest.mark.parametrize(
    ("found", "family"),
    [
        (checkpoint("x", "LlamaForTokenClassification", files=("stepnav_prm.json",)), "prm"),
        (checkpoint("x", CAUSAL, files=("stepnav_label_tokens.json",)), "math-shepherd"),
        (checkpoint("x", "Qwen2ForProcessRewardModel"), "qwen-prm"),
        (checkpoint("x", "Qwen2ForPrmModel"), "skywork"),
        (checkpoint("x", "Qwen2ForCausalLM", weights=("v_head.summary.weight",)), "skywork"),
        (checkpoint("x", "Qwen2ForTokenClassification"), "token-classes"),
        (checkpoint("x", "LlamaForSequenceClassification"), "orm"),
        (checkpoint("peiyi9979/math-shepherd-mistral-7b-prm", CAUSAL), "math-shepherd"),
        (checkpoint("x", CAUSAL, added=("ки",)), "math-shepherd"),
        (checkpoint("RLHFlow/Llama3.1-8B-PRM-Deepseek-Data", "LlamaForCausalLM"), "rlhflow"),
        (checkpoint("Llama3.1-8B-PRM-Mistral-Data", "LlamaForCausalLM"), "rlhflow"),
    ],
)
def test_each_sign(found: Checkpoint, family: str) -> None:
    assert recognise(found) == family


@pytest.mark.parametrize(
    "found",
    [
        checkpoint("gpt", CAUSAL),
        checkpoint(),
        checkpoint("b", "Bert"),
        checkpoint("RLHFlow/Llama3.1-8B-ORM-Deepseek-Data", "LlamaForCausalLM"),
        checkpoint("RLHFlow/pair-preference-model-LLaMA3-8B", "LlamaForCausalLM"),
        checkpoint("RLHFlow/LLaMA3-iterative-DPO-final", "LlamaForCausalLM"),
        checkpoint("my-llama3-8b-prm", "LlamaForCausalLM"),
        checkpoint("peiyi9979/math-shepherd-mistral-7b-rl", CAUSAL),
    ],
)
def test_what_cannot_be_told_says_how_to_say_it(found: Checkpoint) -> None:
    with pytest.raises(ConfigError, match=r"math-shepherd:FOLDER") as caught:
        recognise(found)
    assert all(family in str(caught.value) for family in FAMILIES)
    assert "\n" not in str(caught.value)


def test_real_folders(tmp_path: Path) -> None:
    for family, (name, make) in MAKERS.items():
        assert recognise(read_checkpoint(make(tmp_path / name))) == family


def test_a_folder_above_tells_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "math-shepherd" / "policy"
    causal_model().save_pretrained(folder)
    with pytest.raises(ConfigError, match="not known as a reward model"):
        recognise(read_checkpoint(folder))


def test_a_policy_tuned_from_a_reward_model_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    causal_model().save_pretrained(folder)
    for name in ("RLHFlow/Llama3.1-8B-PRM-Deepseek-Data", "peiyi9979/math-shepherd-mistral-7b-prm"):
        spoil(folder, "config.json", _name_or_path=name)
        with pytest.raises(ConfigError, match="not known as a reward model"):
            recognise(read_checkpoint(folder))


def test_a_folder_of_another_name_is_opened_when_said(tmp_path: Path) -> None:
    folder = public_models.math_shepherd(tmp_path / "mine")
    task = build.load_task("arithmetic")
    local = {"device": "cpu", "dtype": "float32", "max_batch": 4}
    with pytest.raises(ConfigError, match="not known as a reward model"):
        rewards.open_task_reward(str(folder), task, local)
    assert rewards.open_task_reward(f"math-shepherd:{folder}", task, local)
    LabelTokens().save(folder)
    assert rewards.open_task_reward(str(folder), task, local)


def test_an_unknown_family_is_no_folder(tmp_path: Path) -> None:
    task = build.load_task("arithmetic")
    with pytest.raises(ConfigError, match="no model folder"):
        rewards.open_task_reward(f"shepard:{tmp_path}", task, {})


@pytest.mark.parametrize("family", ["prm", "qwen-prm", "skywork", "orm", "token-classes"])
def test_weights_of_another_kind_are_one_line(tmp_path: Path, family: str) -> None:
    causal_model().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ConfigError) as caught:
        open_checkpoint(tmp_path, family=family, device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("family", "says"),
    [
        ("math-shepherd", "no single token for the good label|no single token for the step tag"),
        ("rlhflow", "no chat template"),
    ],
)
def test_a_tokenizer_of_another_kind(tmp_path: Path, family: str, says: str) -> None:
    causal_model().save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=says):
        open_checkpoint(tmp_path, family=family, device="cpu")


def spoil(folder: Path, name: str, **fields: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_skywork_needs_a_bos_token(tmp_path: Path) -> None:
    folder = public_models.skywork(tmp_path / "skywork")
    public_models.qwen_tokenizer().save_pretrained(folder)
    with pytest.raises(ConfigError, match="BOS token"):
        open_checkpoint(folder, device="cpu")


def test_qwen_needs_its_separator(tmp_path: Path) -> None:
    folder = public_models.qwen_prm(tmp_path / "qwen")
    text = (folder / "tokenizer.json").read_text().replace("<extra_0>", "<extra_9>")
    (folder / "tokenizer.json").write_text(text)
    config = (folder / "tokenizer_config.json").read_text().replace("<extra_0>", "<extra_9>")
    (folder / "tokenizer_config.json").write_text(config)
    with pytest.raises(ConfigError, match=r"no single token for the step separator '<extra_0>'"):
        open_checkpoint(folder, device="cpu")


@pytest.mark.parametrize(
    ("family", "template", "says"),
    [
        (
            "qwen-prm",
            "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
            "changes an ans",
        ),
        ("qwen-prm", "{{ raise_exception('no system turn') }}", "cannot show roles"),
        (
            "rlhflow",
            "{% for m in messages %}{{ m.role + ' ' + m.content }}{% endfor %}",
            "puts som",
        ),
        (
            "rlhflow",
            "{{ messages | length }}{% for m in messages %}|{{ m.content }}{% endfor %}"
            "{% if add_generation_prompt %}|{% endif %}",
            "puts something|shows earlier turns",
        ),
    ],
)
def test_chat_templates_that_do_not_fit(
    tmp_path: Path, family: str, template: str, says: str
) -> None:
    name, make = MAKERS[family]
    folder = make(tmp_path / name)
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(ConfigError, match=says):
        open_checkpoint(folder, device="cpu")


def test_classes_that_are_no_ratings(tmp_path: Path) -> None:
    folder = public_models.token_classes(tmp_path / "ner", ("O", "B-PER", "I-PER"))
    with pytest.raises(ConfigError, match=r"O, B-PER, I-PER .* stepnav_prm\.json"):
        open_checkpoint(folder, device="cpu")


@pytest.mark.parametrize("names", [("ok", "good"), ("neutral", "positive"), ("good", "right")])
def test_classes_that_do_not_tell_right_from_wrong(tmp_path: Path, names: tuple[str, ...]) -> None:
    folder = public_models.token_classes(tmp_path / "prm", names)
    with pytest.raises(ConfigError, match="stand for no ratings"):
        open_checkpoint(folder, device="cpu")


def test_a_label_map_that_is_none(tmp_path: Path) -> None:
    folder = public_models.token_classes(tmp_path / "prm", ("negative", "positive"))
    for labels in (["negative", "positive"], {"1": "negative", "2": "positive"}, {"0": 1, "1": 2}):
        spoil(folder, "config.json", id2label=labels)
        with pytest.raises(ConfigError):
            open_checkpoint(folder, device="cpu")


def test_a_lost_head_is_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = public_models.qwen_prm(tmp_path / "qwen")
    weights = load_file(folder / "model.safetensors")
    del weights["score.2.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"its weights lack score\.2\.weight"):
        open_checkpoint(folder, device="cpu")


def test_a_broken_label_file(tmp_path: Path) -> None:
    folder = public_models.math_shepherd(tmp_path / "mine")
    for text in (
        "{", '{"tga": "x"}', "[1]", '{"temperature": -1}', '{"temperature": 0}', '{"tag": 5}',
        '{"good": "+", "bad": "+"}', '{"prompt_template": "no question"}', '{"joiner": null}',
        '{"before_tag": null}', '{"temperature": true}', '{"tag": " \\n\\n"}',
    ):  # fmt: skip
        (folder / "stepnav_label_tokens.json").write_text(text)
        with pytest.raises(ConfigError, match="no file of label tokens"):
            open_checkpoint(folder, device="cpu")
    (folder / "stepnav_label_tokens.json").unlink()
    (folder / "stepnav_label_tokens.json").mkdir()
    with pytest.raises(ConfigError, match="no file of label tokens"):
        open_checkpoint(folder, device="cpu")


def test_code_beside_the_weights_is_never_run(tmp_path: Path) -> None:
    folder = public_models.qwen_prm(tmp_path / "qwen")
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit\n"
    for name in ("configuration_qwen2_rm.py", "modeling_qwen2_rm.py"):
        (folder / name).write_text(trap)
    assert open_checkpoint(folder, device="cpu")
    spoil(folder, "config.json", model_type="their-own", architectures=["TheirForCausalLM"])
    with pytest.raises(ConfigError):
        open_checkpoint(folder, family="math-shepherd", device="cpu")
    assert not (tmp_path / "ran").exists()


def test_weights_in_several_files_and_in_the_old_format(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    folder = public_models.skywork(tmp_path / "skywork")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"a.bin": names[::2], "b.bin": names[1::2]}
    for file, part in parts.items():
        torch.save({name: weights[name] for name in part}, folder / file)
    index = {name: file for file, part in parts.items() for name in part}
    (folder / "pytorch_model.bin.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index})
    )
    spoil(folder, "config.json", architectures=["Qwen2ForCausalLM"])
    assert recognise(read_checkpoint(folder)) == "skywork"
    assert open_checkpoint(folder, device="cpu")


def test_broken_small_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config\.json"):
        read_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ConfigError, match="no model's config"):
        read_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": 5}')
    assert read_checkpoint(tmp_path).architectures == ()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 40)
    assert read_checkpoint(tmp_path).weights == frozenset()
    (tmp_path / "model.safetensors").write_bytes((1).to_bytes(8, "little") + b"5")
    assert read_checkpoint(tmp_path).weights == frozenset()
    for name, text, says in (
        ("tokenizer.json", "[1]", "is no tokenizer"),
        ("tokenizer.json", '{"added_tokens": null}', "is no tokenizer"),
        ("tokenizer.json", '{"added_tokens": ["a"]}', "is no tokenizer"),
        ("model.safetensors.index.json", "[1]", "is no index of weights"),
        ("model.safetensors.index.json", "[]", "is no index of weights"),
        ("model.safetensors.index.json", '{"weight_map": 5}', "is no index of weights"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match=says):
            read_checkpoint(tmp_path)
        (tmp_path / name).unlink()


def test_weights_of_another_shape_are_named(tmp_path: Path) -> None:
    folder = public_models.token_classes(tmp_path / "prm")
    spoil(folder, "config.json", id2label={"0": "bad", "1": "ok", "2": "good"})
    with pytest.raises(ConfigError, match=r"its score\.bias is \[2\], .* asks for \[3\]"):
        open_checkpoint(folder, device="cpu")
    folder = public_models.qwen_prm(tmp_path / "qwen")
    spoil(folder, "config.json", vocab_size=200)
    with pytest.raises(
        ConfigError, match=r"its model\.embed_tokens\.weight is \[\d+, 32\], .* \[200, 32\]"
    ):
        open_checkpoint(folder, device="cpu")


@pytest.mark.parametrize("text", ["[]", '{"id2label": 5}', "{"])
def test_a_token_classifier_with_a_broken_config(tmp_path: Path, text: str) -> None:
    folder = public_models.token_classes(tmp_path / "prm")
    (folder / "config.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        open_checkpoint(folder, family="token-classes", device="cpu")
    assert "\n" not in str(caught.value)


def test_class_names_and_labels_that_contradict_each_other(tmp_path: Path) -> None:
    from stepnav.rewards.local.step_format import StepFormat

    folder = public_models.token_classes(tmp_path / "prm", ("negative", "neutral", "positive"))
    StepFormat(labels=(-1, 0, 1)).save(folder)
    assert open_checkpoint(folder, device="cpu")
    StepFormat(labels=(1, 0, -1)).save(folder)
    with pytest.raises(
        ConfigError, match=r"named negative, neutral, positive, .* labels them 1, 0, -1"
    ):
        open_checkpoint(folder, device="cpu")
    spoil(folder, "config.json", id2label={"0": "A", "1": "B", "2": "C"})
    assert open_checkpoint(folder, device="cpu")
    two = public_models.token_classes(tmp_path / "two", ("0", "1"))
    StepFormat(labels=(-1, 1)).save(two)
    assert open_checkpoint(two, device="cpu")
    StepFormat(labels=(1, -1)).save(two)
    with pytest.raises(ConfigError, match="named 0, 1"):
        open_checkpoint(two, device="cpu")


def test_advice_on_class_names_fits_the_kind_of_model(tmp_path: Path) -> None:
    folder = public_models.outcome(tmp_path / "orm", num_labels=2)
    spoil(folder, "config.json", id2label={"0": "no", "1": "yes"}, label2id={"no": 0, "yes": 1})
    with pytest.raises(
        ConfigError, match=r"no, yes .* rename the classes in config\.json"
    ) as caught:
        open_checkpoint(folder, device="cpu")
    assert "stepnav_prm" not in str(caught.value)


def test_a_format_must_fit_the_outputs(tmp_path: Path) -> None:
    from stepnav.rewards.families.prm import PRM
    from stepnav.rewards.local.step_format import StepFormat

    with pytest.raises(ConfigError, match="3 output classes, its step format labels a value"):
        LocalReward.open(PRM, class_model(), tokenizer(), format=StepFormat(labels=()))
    with pytest.raises(ConfigError, match="no token for the step separator"):
        LocalReward.open(PRM, class_model(), tokenizer(), format=StepFormat(separator=""))
