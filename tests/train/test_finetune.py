import gzip
import json
import logging
import math
import operator
import random
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from stepnav.core.errors import ConfigError, DataError
from stepnav.core.records import Problem, Trajectory
from stepnav.engine.checkpoint.loading import load_trainable_classifier
from stepnav.engine.checkpoint.weights import non_finite_weight
from stepnav.files.lock import locked
from stepnav.labels.records import StepRecord
from stepnav.policies.local import PolicyFormat
from stepnav.policies.local.prompt import PromptEncoder
from stepnav.rewards.families.prm import PRM
from stepnav.rewards.local.reward import LocalReward
from stepnav.rewards.local.step_format import StepFormat
from stepnav.train.checkpoints import last_checkpoint, step_of
from stepnav.train.collate import TreeCollator, can_pack, fill_rows, split_passes, tree_mask
from stepnav.train.finetune import finetune_policy, finetune_reward_model
from stepnav.train.fit import CHECKPOINTS, CLAIM, FitSettings
from stepnav.train.heads import head_loss, outcomes, targets
from stepnav.train.pairs import Pair, encode_pairs, read_pairs
from stepnav.train.solutions import (
    Label,
    TokenSolution,
    encode_solutions,
    group_solutions,
    grow_tree,
)
from tests.train.tiny import save_tiny_lm

RECORDS = [
    StepRecord("what x", ("step we add two", "so x = two"), (None, 1)),
    StepRecord("what x", ("step we add two", "so x = three"), (None, -1)),
    StepRecord("what x", ("step we add two", "so x = two", "answer two ."), (None, None, 1)),
    StepRecord("what x", ("step wrong",), (-1,)),
    StepRecord("what y", ("then y is four", "answer four"), (0, 1)),
    StepRecord("what y", ("then y is three . so we have four", "answer x"), (1, -1)),
]
PAIRS = [Pair("what x", "x is two ."), Pair("what y we have", "answer four")]
SETTINGS = FitSettings(
    epochs=2,
    learning_rate=1e-3,
    batch_size=2,
    save_every=1,
    cpu=True,
    schedule="constant",
    warmup=0.0,
)


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny_lm(tmp_path_factory.mktemp("base")))


def solutions_of(rows: list[list[int]]) -> list[TokenSolution]:
    return [
        TokenSolution(((0, 0), *((n, n) for n in row)), tuple(Label(float(n)) for n in row))
        for row in rows
    ]


rows = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=5), min_size=1, max_size=8)


@given(rows)
def test_a_tree_holds_every_solution_and_each_shared_prefix_once(paths: list[list[int]]) -> None:
    tree = grow_tree(solutions_of(paths))
    prefixes = {tuple(path[:n]) for path in paths for n in range(1, len(path) + 1)}
    assert len(tree) == 2 + 2 * len(prefixes)
    assert len(tree.marks) == sum(map(len, paths))
    found = []
    for index, *_ in tree.marks:
        ancestors = [j for j in range(index + 1) if index < tree.ends[j]]
        assert [tree.positions[j] for j in ancestors] == list(range(len(ancestors)))
        found.append(tuple(tree.ids[j] for j in ancestors[2::2]))
    assert sorted(found) == sorted(
        tuple(path[:n]) for path in paths for n in range(1, len(path) + 1)
    )


@given(rows, st.integers(4, 40))
def test_groups_keep_order_and_room(paths: list[list[int]], room: int) -> None:
    solutions = solutions_of(paths)
    groups = group_solutions(solutions, max_tokens=room)
    assert [solution for group in groups for solution in group] == solutions
    for group in groups:
        assert len(group) == 1 or len(grow_tree(group)) <= room


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30))
def test_rows_are_filled_without_overflow(lengths: list[int]) -> None:
    found = fill_rows(lengths, 20)
    assert sorted(index for row in found for index in row) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in row) <= 20 for row in found)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30), st.integers(1, 100))
def test_passes_hold_trees_of_like_length(lengths: list[int], room: int) -> None:
    parts = split_passes(lengths, room)
    assert sorted(index for part in parts for index in part) == list(range(len(lengths)))
    assert all(len(part) == 1 or lengths[part[0]] * len(part) <= room for part in parts)
    assert [lengths[i] for part in parts for i in part] == sorted(lengths, reverse=True)


def test_a_token_sees_its_ancestors_only() -> None:
    tree = grow_tree(solutions_of([[1], [2]]))
    mask = tree_mask(torch.tensor([tree.ends]))[0, 0].int().tolist()
    assert mask == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 1, 1],
    ]


def step_trainer(folder: Path, model: Any, loss: Any) -> Any:
    """Return what takes batches as in training."""
    from transformers import TrainingArguments

    from stepnav.train.step_trainer import Groups, StepTrainer

    arguments = TrainingArguments(output_dir=str(folder / "t"), use_cpu=True, report_to="none")
    return StepTrainer(loss, model=model, args=arguments, train_dataset=Groups([]))


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "mistral"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_outputs_equal_plain_ones(tmp_path: Path, architecture: str, attention: str) -> None:
    save_tiny_lm(tmp_path, architecture=architecture)
    model = AutoModelForTokenClassification.from_pretrained(
        tmp_path, num_labels=3, attn_implementation=attention
    ).eval()
    solutions = solutions_of([[1, 2, 3], [1, 2, 1], [1, 3], [2], [2, 2, 2, 2]])
    seen: list[list[tuple[float, list[float]]]] = []
    chains = [grow_tree([s]) for s in solutions]
    for trees, is_packed, pass_tokens in (
        (chains, False, None),
        ([grow_tree(solutions)], True, None),
        ([grow_tree(solutions)], True, 16),
        (chains, True, None),
        (chains, True, 16),
        (chains, True, 10_000),
    ):
        batch = TreeCollator(0, is_packed, pass_tokens)([trees, [grow_tree(solutions[:1])]])

        def keep(outputs: Any, labels: Any) -> Any:
            seen.append(sorted(zip(labels.tolist(), outputs.tolist())))
            return outputs.sum(dim=1)

        step_trainer(tmp_path, model, keep).compute_loss(model, batch)
    plain, *others = seen
    assert len(plain) == 16
    for found in others:
        for (label, one), (other_label, other) in zip(plain, found, strict=True):
            assert label == other_label
            torch.testing.assert_close(torch.tensor(one), torch.tensor(other), atol=1e-5, rtol=0)


def test_a_training_that_diverges_stops_and_keeps_what_was_good(base: str, tmp_path: Path) -> None:
    settings = replace(SETTINGS, learning_rate=1e30, epochs=20)
    with pytest.raises(
        DataError, match=r"(loss|gradient's norm) is (nan|inf) at step \d+; "
    ) as error:
        finetune_reward_model(base, RECORDS, "rating", tmp_path / "m", settings=settings)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "m" / "model.safetensors").exists()
    assert all(math.isfinite(row["loss"]) for row in log_of(tmp_path / "m"))
    kept = last_checkpoint(tmp_path / "m" / CHECKPOINTS)
    assert kept is not None
    assert non_finite_weight(AutoModelForTokenClassification.from_pretrained(kept)) == ""


def test_a_last_step_that_diverges_saves_nothing(base: str, tmp_path: Path) -> None:
    for save_every, folder in ((1, tmp_path / "a"), (0, tmp_path / "b")):
        settings = replace(SETTINGS, learning_rate=1e39, max_steps=1, save_every=save_every)
        with pytest.raises(DataError, match="holds NaN or infinite numbers at step 1"):
            finetune_policy(base, PAIRS, folder, settings=settings)
        assert not (folder / "model.safetensors").exists()
        assert last_checkpoint(folder / CHECKPOINTS) is None


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_loss_counts_as_much_as_its_weight(base: str, tmp_path: Path, is_packed: bool) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    steps = ("step we add two", "so x = two")
    records = [
        StepRecord("what x", steps, (1, -1), weights=(0.25, 3)),
        StepRecord("what x", (steps[0], "so x = three"), (1, None), weights=(0.0, None)),
        StepRecord("what y", steps, (0, None)),
    ]
    wanted = targets(records, "rating", "three", "own")
    solutions, _ = encode_solutions(tokenizer, records, wanted, StepFormat(), max_length=64)
    groups = group_solutions(solutions, max_tokens=64)
    trees = [[grow_tree(g)] if is_packed else [grow_tree([s]) for s in g] for g in groups]
    model = load_trainable_classifier(base, num_labels=3).eval()
    seen: list[float] = []

    def loss(outputs: Any, labels: Any) -> Any:
        losses = head_loss("three")(outputs, labels)
        seen.extend(losses.tolist())
        return losses

    batch = TreeCollator(0, is_packed)(trees)
    found = step_trainer(tmp_path, model, loss).compute_loss(model, batch)
    weights = batch["weights"].tolist()
    assert sorted(weights) == [0.0, 0.25, 1.0, 3.0]
    assert dict(zip(weights, batch["labels"].tolist())) == {0.0: 2, 0.25: 2, 1.0: 1, 3.0: 0}
    assert found.item() == pytest.approx(sum(map(operator.mul, seen, weights)) / 4, rel=1e-5)


def test_models_with_a_window_are_not_given_trees_beyond_it(base: str, tmp_path: Path) -> None:
    window = save_tiny_lm(tmp_path, architecture="mistral", sliding_window=64)
    model = AutoModelForCausalLM.from_pretrained(window)
    assert can_pack(model, 64)
    assert not can_pack(model, 65)
    assert can_pack(AutoModelForCausalLM.from_pretrained(base), 10_000)


def test_models_that_count_positions_themselves_are_not_given_trees() -> None:
    from transformers import BloomConfig, FalconConfig, GPT2Config, GPTNeoConfig

    sizes = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    neo = {"num_layers": 2, "num_heads": 2, "attention_types": [[["global", "local"], 1]]}
    for config, loader in (
        (GPTNeoConfig(vocab_size=9, hidden_size=8, **neo), AutoModelForCausalLM),
        (BloomConfig(vocab_size=9, hidden_size=8, n_layer=1, n_head=2), AutoModelForCausalLM),
        (FalconConfig(**sizes, alibi=True), AutoModelForCausalLM),
        (FalconConfig(**sizes), AutoModelForTokenClassification),
    ):
        assert not can_pack(loader.from_config(config), 16), type(config).__name__
    assert can_pack(AutoModelForCausalLM.from_config(GPT2Config(**sizes)), 16)


@pytest.mark.parametrize("is_decoder", [False, True])
def test_an_encoder_would_see_what_it_is_to_rate(tmp_path: Path, is_decoder: bool) -> None:
    base = str(save_tiny_lm(tmp_path / "bert", architecture="bert", is_decoder=is_decoder))
    out = tmp_path / "out"
    if is_decoder:
        finetune_policy(base, PAIRS, out, settings=SETTINGS)
        return
    for train in (
        partial(finetune_policy, base, PAIRS, out, settings=SETTINGS),
        partial(finetune_reward_model, base, RECORDS, "rating", out, settings=SETTINGS),
    ):
        with pytest.raises(ConfigError, match=r"is an encoder \(Bert.*begin with a decoder"):
            train()
    assert not out.exists()


@pytest.mark.parametrize(
    ("head", "kind"), [("three", "rating"), ("two", "rating"), ("value", "rating")]
)
def test_a_reward_model_is_trained_saved_and_used(
    base: str, tmp_path: Path, head: Any, kind: Any
) -> None:
    neutral = "positive" if head == "two" else "own"
    losses = {}
    for pack in (True, False):
        out = tmp_path / str(pack)
        report = finetune_reward_model(
            base, RECORDS, kind, out, head=head, neutral=neutral, pack=pack, settings=SETTINGS
        )
        losses[pack] = [loss for _, loss in report.fit.losses]
        assert report.labels == 8
        assert (report.tokens < report.plain_tokens) == pack
    assert losses[True] == pytest.approx(losses[False], abs=1e-5)
    assert losses[True][-1] < losses[True][0]
    format_ = StepFormat.load(tmp_path / "True")
    assert format_.labels == {"three": (-1, 0, 1), "two": (-1, 1), "value": ()}[head]
    weights = [
        AutoModelForTokenClassification.from_pretrained(tmp_path / str(pack)).state_dict()
        for pack in (True, False)
    ]
    for name, one in weights[0].items():
        torch.testing.assert_close(one, weights[1][name], atol=2e-5, rtol=0)
    if head != "value":
        LocalReward.open(PRM, tmp_path / "True").close()


def test_a_policy_learns_completions_only(base: str, tmp_path: Path) -> None:
    found = {
        pack: finetune_policy(base, PAIRS, tmp_path / str(pack), pack=pack, settings=SETTINGS)
        for pack in (True, False)
    }
    assert found[True].labels == 5 + 3  # the end of each is learnt too
    one, other = ([loss for _, loss in found[pack].fit.losses] for pack in (True, False))
    assert one == pytest.approx(other, abs=1e-5)
    AutoModelForCausalLM.from_pretrained(tmp_path / "True")
    saved = json.loads((tmp_path / "True" / "training_report.json").read_text())
    assert "seconds" not in saved["fit"]  # of the last part only, if it was resumed
    assert saved["fit"]["losses"] == [list(pair) for pair in found[True].fit.losses]
    assert saved["labels"] == 5 + 3


@pytest.mark.parametrize("cpu", [True, False])
def test_a_machine_without_a_gpu_computes_in_bfloat16(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    chosen = replace(SETTINGS, bf16=True, cpu=cpu)
    found = finetune_policy(base, PAIRS, tmp_path / "out", settings=chosen)
    plain = finetune_policy(base, PAIRS, tmp_path / "plain", settings=SETTINGS)
    losses, others = ([loss for _, loss in report.fit.losses] for report in (found, plain))
    assert losses != others
    assert losses == pytest.approx(others, rel=0.02)


def test_accumulated_batches_count_as_one(base: str, tmp_path: Path) -> None:
    whole = finetune_reward_model(base, RECORDS, "rating", tmp_path / "a", settings=SETTINGS)
    parts = replace(SETTINGS, batch_size=1, accumulate=2)
    split = finetune_reward_model(base, RECORDS, "rating", tmp_path / "b", settings=parts)
    assert [loss for _, loss in split.fit.losses] == pytest.approx(
        [loss for _, loss in whole.fit.losses], abs=1e-6
    )


def test_activations_computed_twice_change_no_loss(base: str, tmp_path: Path) -> None:
    found = [
        finetune_reward_model(
            base,
            RECORDS,
            "rating",
            tmp_path / str(twice),
            settings=replace(SETTINGS, gradient_checkpointing=twice),
        ).fit.losses
        for twice in (False, True)
    ]
    for (_, once), (_, twice) in zip(*found, strict=True):
        assert once == pytest.approx(twice, abs=1e-6)


@pytest.mark.parametrize("pack", [True, False])
def test_a_policy_s_adapters_see_the_same_losses_packed(
    base: str, tmp_path: Path, pack: bool
) -> None:
    pytest.importorskip("peft")
    found = [
        finetune_policy(
            base, PAIRS, tmp_path / f"{lora}", pack=pack, lora_rank=lora, settings=SETTINGS
        ).fit.losses[0]
        for lora in (0, 2)
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-5)  # adapters begin as nothing


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_heads_of_any_name_are_trained_with_adapters(tmp_path: Path, architecture: str) -> None:
    pytest.importorskip("peft")
    base = str(save_tiny_lm(tmp_path / "base", architecture=architecture))
    finetune_reward_model(base, RECORDS, "rating", tmp_path / "m", lora_rank=2, settings=SETTINGS)
    model = AutoModelForTokenClassification.from_pretrained(tmp_path / "m")
    fresh = load_trainable_classifier(base, num_labels=3)
    name = "classifier.weight" if architecture == "gpt2" else "score.weight"
    assert model.state_dict()[name].shape == fresh.state_dict()[name].shape


def test_a_policy_is_asked_as_it_was_trained(base: str, tmp_path: Path) -> None:
    finetune_policy(
        base, [Pair("what x", "x is two .")], tmp_path / "m", prompt_template="Q: {question} A: ",
        settings=SETTINGS,
    )  # fmt: skip
    assert PolicyFormat.load(tmp_path / "m").prompt_template == "Q: {question} A: "


@pytest.mark.parametrize("template", ["{question}", "{question}\n", "Q: {question} A: "])
def test_a_policy_learns_behind_the_prompt_that_it_will_be_asked_with(
    base: str, template: str
) -> None:
    tokenizer, question = AutoTokenizer.from_pretrained(base), "\nwhat x\n"
    pair = Pair(question, " x is two .")
    [[tree]], _ = encode_pairs(tokenizer, [pair], prompt_template=template, max_length=64)
    asked = PromptEncoder(tokenizer, PolicyFormat(template))
    assert list(tree.ids[: tree.marks[0].place + 1]) == list(
        asked.encode(Trajectory(Problem("", question)))[0]
    )


def test_solutions_beyond_the_models_context_are_cut(tmp_path: Path) -> None:
    base = str(save_tiny_lm(tmp_path / "base", architecture="gpt2", max_position_embeddings=12))
    report = finetune_reward_model(base, RECORDS, "rating", tmp_path / "m", settings=SETTINGS)
    assert report.max_length == 12
    assert report.cut.solutions == 4


def test_adapters_are_merged_into_the_saved_model(base: str, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    finetune_reward_model(base, RECORDS, "rating", tmp_path / "m", lora_rank=2, settings=SETTINGS)
    model = AutoModelForTokenClassification.from_pretrained(tmp_path / "m")
    before = AutoModelForCausalLM.from_pretrained(base).state_dict()
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not torch.equal(model.state_dict()[name], before[name])
    assert not any("lora" in key for key in model.state_dict())


def test_a_killed_training_ends_as_if_it_had_not_been(base: str, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=5)
    whole = finetune_reward_model(base, RECORDS, "rating", tmp_path / "a", settings=settings)

    class Killed(BaseException):
        pass

    def kill(done: int, total: int, loss: float | None) -> None:
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        finetune_reward_model(
            base, RECORDS, "rating", tmp_path / "b", settings=settings, progress=kill
        )
    torn = tmp_path / "b" / CHECKPOINTS / "checkpoint-99"
    torn.mkdir()
    (torn / "trainer_state.json").write_text('{"global_st')
    again = finetune_reward_model(
        base, RECORDS, "rating", tmp_path / "b", settings=settings, resume=True
    )
    assert again.fit.losses == whole.fit.losses
    for name, one in (
        AutoModelForTokenClassification.from_pretrained(tmp_path / "a").state_dict().items()
    ):
        other = AutoModelForTokenClassification.from_pretrained(tmp_path / "b").state_dict()[name]
        assert torch.equal(one, other), name
    logged = [row["step"] for row in log_of(tmp_path / "b")]
    assert logged == list(range(1, whole.fit.steps + 1))
    assert last_checkpoint(tmp_path / "b" / CHECKPOINTS) is not None


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_resuming_what_has_ended_takes_no_further_step(
    base: str, tmp_path: Path, lora_rank: int
) -> None:
    settings = replace(SETTINGS, max_steps=2, batch_size=1, save_every=1)  # within an epoch
    arguments = (base, RECORDS, "rating", tmp_path / "m")
    first = finetune_reward_model(*arguments, lora_rank=lora_rank, settings=settings)
    weights = (tmp_path / "m" / "model.safetensors").read_bytes()
    for _ in range(2):
        (tmp_path / "m" / "model.safetensors").unlink()
        again = finetune_reward_model(
            *arguments, lora_rank=lora_rank, settings=settings, resume=True
        )
        assert (again.fit.steps, again.fit.losses) == (2, first.fit.losses)
        assert (tmp_path / "m" / "model.safetensors").read_bytes() == weights


def test_a_folder_holds_one_training(base: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "something").write_text("")
    with pytest.raises(ConfigError, match="not empty"):
        finetune_reward_model(base, RECORDS, "rating", tmp_path / "a", settings=SETTINGS)
    with pytest.raises(ConfigError, match="holds no training"):
        finetune_reward_model(
            base, RECORDS, "rating", tmp_path / "a", settings=SETTINGS, resume=True
        )
    finetune_reward_model(base, RECORDS, "rating", tmp_path / "b", settings=SETTINGS)
    with pytest.raises(ConfigError, match="head: three, now value"):
        finetune_reward_model(
            base, RECORDS, "rating", tmp_path / "b", head="value", settings=SETTINGS, resume=True
        )
    with pytest.raises(ConfigError, match=r"holds a training with other settings .data: "):
        finetune_reward_model(
            base,
            [*RECORDS[:-1], RECORDS[0]],
            "rating",
            tmp_path / "b",
            settings=SETTINGS,
            resume=True,
        )


def test_a_training_goes_on_with_other_parts_of_the_same_batch(base: str, tmp_path: Path) -> None:
    finetune_reward_model(base, RECORDS, "rating", tmp_path / "m", settings=SETTINGS)
    again = {"base": base, "out": tmp_path / "m"}

    def go_on(**changes: Any) -> None:
        finetune_reward_model(
            again["base"],
            RECORDS,
            "rating",
            again["out"],
            settings=replace(SETTINGS, **changes),
            resume=True,
        )

    go_on(batch_size=1, accumulate=2)
    with pytest.raises(ConfigError, match="whole_batch: 2, now 1"):
        go_on(batch_size=1)


def test_a_training_that_goes_on_saves_as_often_as_it_is_now_told(
    base: str, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, epochs=4)

    def stop(done: int, total: int, loss: float | None) -> None:
        if done == stop_at:
            raise KeyboardInterrupt

    def train(save_every: int) -> int:
        changed = replace(settings, save_every=save_every)
        with pytest.raises(KeyboardInterrupt):
            finetune_reward_model(
                base, RECORDS, "rating", tmp_path / "m", settings=changed, progress=stop,
                resume=True,
            )  # fmt: skip
        checkpoint = last_checkpoint(tmp_path / "m" / CHECKPOINTS)
        return 0 if checkpoint is None else step_of(checkpoint)

    stop_at = 3
    assert train(save_every=2) == 2
    stop_at = 4
    assert train(save_every=1) == 3


def test_a_training_is_not_disturbed_by_another(base: str, tmp_path: Path) -> None:
    def second(done: int, total: int, loss: float | None) -> None:
        with pytest.raises(ConfigError, match="at work"), locked(tmp_path / "m", CLAIM):
            pass

    finetune_reward_model(
        base, RECORDS, "rating", tmp_path / "m", settings=SETTINGS, progress=second
    )


def test_what_cannot_be_used_here_binds_no_folder(base: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="start them with: torchrun"):
        finetune_reward_model(
            base, RECORDS, "rating", tmp_path / "m", settings=replace(SETTINGS, shard=True)
        )
    assert not (tmp_path / "m").exists()
    with pytest.raises(ConfigError, match="--report-to 'wandbb' is unknown"):
        replace(SETTINGS, report_to=("wandbb",))
    with pytest.raises(ConfigError, match="epochs must be above 0"):
        replace(SETTINGS, epochs=0.0)
    with pytest.raises(ConfigError, match="warmup is a share"):
        replace(SETTINGS, warmup=1.0)
    pytest.importorskip("peft")
    with pytest.raises(ConfigError, match="use one of them"):
        finetune_reward_model(
            base, RECORDS, "rating", tmp_path / "m", lora_rank=2,
            settings=replace(SETTINGS, shard=True),
        )  # fmt: skip


def test_tied_weights_are_not_called_missing_when_a_training_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    tied = str(save_tiny_lm(tmp_path / "tied", tie_word_embeddings=True))
    for resume in (False, True):
        finetune_policy(tied, PAIRS, tmp_path / "m", settings=SETTINGS, resume=resume)
    assert "missing keys" not in caplog.text


def test_warmup_holds_for_a_constant_schedule_too(base: str, tmp_path: Path) -> None:
    settings = replace(SETTINGS, warmup=0.5)
    finetune_reward_model(base, RECORDS, "rating", tmp_path / "m", settings=settings)
    rows = log_of(tmp_path / "m")
    assert rows[0]["learning_rate"] < rows[-1]["learning_rate"] == SETTINGS.learning_rate


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_a_training_of_one_step_learns(base: str, tmp_path: Path, schedule: str) -> None:
    settings = replace(SETTINGS, max_steps=1, warmup=0.03, schedule=schedule)
    finetune_policy(base, PAIRS, tmp_path / "m", settings=settings)
    one, other = (
        AutoModelForCausalLM.from_pretrained(folder).lm_head.weight
        for folder in (base, tmp_path / "m")
    )
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"torn"), ("optimizer.pt", b"torn"), ("scheduler.pt", b"torn"),
        ("rng_state.pth", b"torn"), ("trainer_state.json", b"{}"), ("model.safetensors", None),
    ],
)  # fmt: skip
def test_a_broken_checkpoint_is_one_line(
    base: str, tmp_path: Path, name: str, content: bytes | None
) -> None:
    def stop(done: int, total: int, loss: float | None) -> None:
        if done == 3:
            raise KeyboardInterrupt

    def train(**options: Any) -> None:
        finetune_reward_model(
            base, RECORDS, "rating", tmp_path / "m", settings=replace(SETTINGS, epochs=5), **options
        )

    with pytest.raises(KeyboardInterrupt):
        train(progress=stop)
    checkpoint = last_checkpoint(tmp_path / "m" / CHECKPOINTS)
    assert checkpoint is not None
    place = checkpoint / name
    assert place.exists()
    if content is None:
        place.unlink()
    else:
        place.write_bytes(content)
    with pytest.raises(DataError, match=r"checkpoint-\d+ is broken .*remove it") as caught:
        train(resume=True)
    assert "\n" not in str(caught.value)


def test_labels_and_heads_must_fit(base: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--head value"):
        targets([StepRecord("q", ("a",), (0.5,))], "value", "three", "own")
    with pytest.raises(DataError, match="is not in"):
        targets([StepRecord("q", ("a",), (1.5,))], "value", "value", "own")
    with pytest.raises(ConfigError, match="two classes have none"):
        targets(RECORDS, "rating", "two", "own")
    with pytest.raises(ConfigError, match="--class-weights needs 3"):
        finetune_reward_model(
            base, RECORDS, "rating", tmp_path / "a", class_weights=[1, 2], settings=SETTINGS
        )
    with pytest.raises(ConfigError, match="no token for the step separator"):
        finetune_reward_model(
            base, RECORDS, "rating", tmp_path / "b", separator="ки", settings=SETTINGS
        )
    finetune_reward_model(base, RECORDS, "rating", tmp_path / "three", settings=SETTINGS)
    with pytest.raises(ConfigError, match="reward model with 3 outputs, and 2"):
        finetune_reward_model(
            str(tmp_path / "three"), RECORDS, "rating", tmp_path / "c", head="two",
            neutral="positive", settings=SETTINGS,
        )  # fmt: skip


@pytest.mark.parametrize("class_weights", [[0, 0, 0], [0, 1, 0]])
def test_labels_that_all_weigh_nothing_are_refused(
    base: str, tmp_path: Path, class_weights: list[float]
) -> None:
    records = [replace(RECORDS[0], labels=(None, 1)), replace(RECORDS[1], labels=(None, -1))]
    with pytest.raises(ConfigError, match="all labels weigh 0"):
        finetune_reward_model(
            base, records, "rating", tmp_path / "m", class_weights=class_weights, settings=SETTINGS
        )
    records = [replace(record, weights=(None, 0.0)) for record in records]
    with pytest.raises(ConfigError, match="all labels weigh 0"):
        finetune_reward_model(base, records, "rating", tmp_path / "m", settings=SETTINGS)


def test_what_neutral_labels_count_as() -> None:
    record = [StepRecord("q", ("a", "b", "c"), (-1, 0, 1))]
    assert targets(record, "rating", "three", "own") == [[0, 1, 2]]
    assert targets(record, "rating", "three", "masked") == [[0, None, 2]]
    assert targets(record, "rating", "two", "negative") == [[0, 0, 1]]
    assert targets(record, "rating", "value", "own") == [[0, 0.5, 1]]
    assert targets(record, "rating", "value", "positive") == [[0, 1, 1]]


def test_outcomes_are_those_of_whole_solutions() -> None:
    found, _ = outcomes(RECORDS)
    assert [(record.completions[-1], record.labels[-1]) for record in found] == [
        ("so x = three", -1),
        ("answer two .", 1),
        ("step wrong", -1),
        ("answer four", 0),
        ("answer x", -1),
    ]
    assert all(label is None for record in found for label in record.labels[:-1])
    values = [
        StepRecord("q", ("a", "b", "c"), (0.0, 0.25, 1.0)),
        StepRecord("q", ("a", "x"), (0.0, 0.0)),
        StepRecord("q", ("a", "y"), (0.5, None)),
    ]
    found, left_out = outcomes(values)
    assert [(record.completions[-1], record.labels[-1]) for record in found] == [
        ("c", 1.0),
        ("x", 0.0),
    ]
    assert left_out == 1


def test_a_text_like_another_formats_answer_leaves_no_solution_out() -> None:
    marked = StepRecord("what x", ("step we add two", "### Answer: x"), (1, 1))
    found, left_out = outcomes([*RECORDS, marked])
    assert found[-1].completions == marked.completions
    assert (len(found), left_out) == (len(outcomes(RECORDS)[0]) + 1, 0)


def test_where_no_outcome_is_known_there_is_nothing_to_learn(base: str, tmp_path: Path) -> None:
    begun = [StepRecord("q", ("a",), (1,), is_finished=False)]
    with pytest.raises(DataError, match="no outcome to learn: 1 labelled solutions are only begun"):
        finetune_reward_model(
            base, begun, "rating", tmp_path, only_outcomes=True, settings=FitSettings()
        )


def test_an_outcome_that_is_known_otherwise_goes_before_the_labels() -> None:
    records = [
        StepRecord("q", ("a", "b"), (0, None), weights=(0.5, None), is_right=False),  # repairable
        StepRecord("q", ("a", "c"), (0, None), weights=(0.25, None), is_right=True),  # survived
        StepRecord("q", ("a", "d"), (None, None), is_right=True),
        StepRecord("r", ("a", "b"), (0.5, 0.5), is_right=False),
    ]
    assert [record.labels for record in outcomes(records)[0]] == [
        (None, -1),
        (None, 1),
        (None, 1),
        (None, 0.0),
    ]
    assert all(isinstance(record.labels[-1], float) for record in outcomes(records[3:])[0])


def test_an_outcome_has_the_weight_of_the_label_that_decides() -> None:
    records = [
        StepRecord("q", ("a", "b", "c"), (1, -1, None), weights=(0.25, 3.0, None)),
        StepRecord("q", ("a", "d", "e"), (1, 1, 1), weights=(0.25, 0.5, 2.0)),
        StepRecord("q", ("x", "y"), (1, 0), weights=(1.0, 4.0), is_right=True),
        StepRecord("q", ("z",), (1,)),
    ]
    assert [record.weights for record in outcomes(records)[0]] == [
        (None, None, 3.0),
        (None, None, 2.0),
        (None, 4.0),
        None,
    ]


def test_begun_solutions_have_no_outcome_and_do_not_stand_for_whole_ones() -> None:
    records = [
        StepRecord("q", ("a", "b"), (1, 1), is_finished=True),
        StepRecord("q", ("a", "b", "c"), (1, 1, -1), is_finished=False),
        StepRecord("q", ("a", "d"), (0.5, 0.5), is_finished=False),
    ]
    found, left_out = outcomes(records)
    assert [record.completions for record in found] == [("a", "b")]
    assert left_out == 2


def test_steps_beyond_the_limit_are_counted(base: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    wanted = targets(RECORDS, "rating", "three", "own")
    solutions, cut = encode_solutions(tokenizer, RECORDS, wanted, StepFormat(), max_length=12)
    assert (cut.solutions, cut.steps, cut.lost) == (4, 5, 4)
    assert len(solutions) == 2
    with pytest.raises(DataError, match="within 3 tokens"):
        encode_solutions(tokenizer, RECORDS, wanted, StepFormat(), max_length=3)


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["prompt", "question", "problem"]), min_size=1, max_size=4))
def test_pairs_are_read_by_their_names(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    other = {"prompt": "completion", "question": "answer", "problem": "solution"}
    path = tmp_path_factory.mktemp("pairs") / "p.jsonl"
    path.write_text("\n".join(json.dumps({name: "a", other[name]: "b"}) for name in names))
    assert read_pairs(path) == [Pair("a", "b")] * len(names)


def test_an_answer_may_be_a_number(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"question": "2 + 2?", "answer": 4}\n{"question": "1 / 2?", "answer": 0.5}\n')
    assert read_pairs(path) == [Pair("2 + 2?", "4"), Pair("1 / 2?", "0.5")]
    path.write_text('{"question": "Is it?", "answer": true}')
    with pytest.raises(DataError, match=r"p\.jsonl, line 1 has no pair"):
        read_pairs(path)


def test_bad_pairs_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    for text, message in {
        "": "is empty",
        '{"prompt": 1, "completion": "b"}': "p.jsonl, line 1 has no pair",
        '{"prompt": "a", "completion": "b"}\n{"pro': "p.jsonl, line 2: not valid JSON",
    }.items():
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_pairs(path)
    with pytest.raises(DataError, match="there is no file"):
        read_pairs(tmp_path / "none.jsonl")
    path.write_bytes(gzip.compress(b'{"prompt": "a", "completion": "b"}\n' * 99)[:-20])
    with pytest.raises(DataError, match="gzip data is truncated"):
        read_pairs(path)
    for line in ("[" * 100_000, '{"prompt": "\\ud83d", "completion": "b"}\n'):
        path.write_text(line)
        with pytest.raises(DataError, match=r"p\.jsonl(, line 1: half of| .* not usable JSON)"):
            read_pairs(path)


def test_a_pair_without_prompt_and_bos_learns_from_its_second_token(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(save_tiny_lm(tmp_path))
    tokenizer.bos_token = None
    (((tree,),), _) = encode_pairs(
        tokenizer, [Pair("", "x is two")], prompt_template="{question}", max_length=9
    )
    assert [mark.place for mark in tree.marks] == [0, 1, 2]


def test_a_full_disk_leaves_nothing_half_written(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import PreTrainedModel

    save = PreTrainedModel.save_pretrained

    def fail(self: Any, folder: Any, **options: Any) -> None:
        if "checkpoint" in str(folder):
            save(self, folder, **options)
            return
        Path(folder).mkdir()
        (Path(folder) / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", fail)
    with pytest.raises(DataError, match=r"No space left.*go on with --resume"):
        finetune_reward_model(base, RECORDS, "rating", tmp_path / "m", settings=SETTINGS)
    assert not (tmp_path / "m" / "model.safetensors").exists()
    assert not (tmp_path / "m" / "config.json").exists()
    monkeypatch.undo()
    finetune_reward_model(base, RECORDS, "rating", tmp_path / "m", settings=SETTINGS, resume=True)
    AutoModelForTokenClassification.from_pretrained(tmp_path / "m")


@pytest.mark.slow
def test_a_training_killed_at_random_ends_with_the_same_weights(base: str, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    rows = [
        {
            "prompt": f"what {a}",
            "completions": [f"step we add {b}", f"so {a} = {b}"],
            "labels": [1, (n % 3) - 1],
        }
        for n, (a, b) in enumerate(
            (a, b) for a in ["x", "y", "two", "four"] for b in ["x", "y", "three"]
        )
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [
        sys.executable, "-m", "stepnav", "train", "prm", "--model", base, "--data", str(data),
        "--epochs", "900", "--batch-size", "1", "--learning-rate", "1e-3", "--save-every", "3",
        "--device", "cpu", "--resume", "--labels", "rating", "--out",
    ]  # fmt: skip
    subprocess.run([*words, str(tmp_path / "whole")], check=True, capture_output=True)
    rng = random.Random(0)
    num_killed = 0
    while True:
        process = subprocess.Popen(
            [*words, str(tmp_path / "killed")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            assert process.wait(rng.uniform(5, 12) if num_killed < 12 else None) == 0
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            num_killed += 1
    assert num_killed
    one, other = (tmp_path / name / "model.safetensors" for name in ("whole", "killed"))
    assert one.read_bytes() == other.read_bytes()


def test_a_disk_that_is_full_at_a_checkpoint_is_one_line_and_resumed(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:  # what torch says where not all of a file was written
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 320 vs 212")

    monkeypatch.setattr(torch, "save", fail)
    settings = replace(SETTINGS, save_every=1)
    with pytest.raises(DataError, match=r"cannot write .*free some space.*go on with --resume"):
        finetune_reward_model(base, RECORDS, "rating", tmp_path / "m", settings=settings)
    monkeypatch.undo()
    finetune_reward_model(base, RECORDS, "rating", tmp_path / "m", settings=settings, resume=True)
    AutoModelForTokenClassification.from_pretrained(tmp_path / "m")
