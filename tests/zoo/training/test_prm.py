from dataclasses import replace
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForTokenClassification

from stepnav.labels.records import StepRecord
from stepnav.rewards.local.step_format import StepFormat
from stepnav.zoo.tokenizer import train_tokenizer
from stepnav.zoo.training.lm import encode_pairs, train_lm
from stepnav.zoo.training.prm import train_prm
from stepnav.zoo.training.sampling import SampleRequest, sample_solutions
from stepnav.zoo.training.scoring import class_probs, lowest_logprobs
from stepnav.zoo.training.settings import TrainSettings
from stepnav.zoo.training.targets import encode_records

SETTINGS = TrainSettings(
    total_tokens=40_000,
    batch_tokens=512,
    warmup_tokens=500,
    compile=False,
    bfloat16=False,
    muon_rate=0.02,
    adamw_rate=0.01,
)
PAIRS = [(f"Say {digit}\n", f"{digit}{digit}\n#### {digit}") for digit in range(10)]


def tiny_lm(vocab_size: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        )
    ).eval()


def with_layer_on_top(language_model: LlamaForCausalLM) -> LlamaForTokenClassification:
    """Return a token classifier whose first layers are the language model's, with a silent one
    above."""
    fields = {**language_model.config.to_dict(), "num_labels": 3, "tie_word_embeddings": False}
    fields["num_hidden_layers"] += 1
    model = LlamaForTokenClassification(LlamaConfig(**fields))
    weights = language_model.model.state_dict()
    model.model.load_state_dict(
        {k: v for k, v in weights.items() if k != "norm.weight"}, strict=False
    )
    torch.nn.init.zeros_(model.model.layers[-1].self_attn.o_proj.weight)
    torch.nn.init.zeros_(model.model.layers[-1].mlp.down_proj.weight)
    return model


def test_language_model_and_prm_learn_and_are_read_where_they_were_trained(tmp_path: Path) -> None:
    tokenizer = train_tokenizer([prompt + text for prompt, text in PAIRS], vocab_size=300)
    model = tiny_lm(len(tokenizer))
    examples = encode_pairs(tokenizer, PAIRS * 20, learn_prompt=False)
    train_lm(model, examples, pad_id=2, folder=tmp_path / "lm", settings=SETTINGS)
    requests = [SampleRequest(prompt, 0.0) for prompt, _ in PAIRS]
    assert sample_solutions(model, tokenizer, requests, seed=0) == [text for _, text in PAIRS]

    records = [
        StepRecord(f"Say {digit}", (f"{said}{said}\n",), (1 if said == digit else -1,), (0,))
        for digit in range(10)
        for said in (digit, (digit + 1) % 10, digit, (digit + 5) % 10)
    ]
    data = encode_records(tokenizer, records * 5, StepFormat())
    prm = with_layer_on_top(model)
    train_prm(prm, lambda epoch: data, pad_id=2, folder=tmp_path / "prm", settings=SETTINGS)
    solutions = [(record.prompt, record.completions) for record in records]
    probs = class_probs(prm, tokenizer, solutions, StepFormat())
    rated = [-1 if steps[0][0] == max(steps[0]) else 1 for steps in probs]
    assert rated == [record.labels[0] for record in records]
    lows = lowest_logprobs(model, tokenizer, solutions, StepFormat())
    good = min(low[0] for low, record in zip(lows, records) if record.labels[0] == 1)
    bad = max(low[0] for low, record in zip(lows, records) if record.labels[0] == -1)
    assert good > bad


def normaliser_spread(folder: Path, normaliser_weight: float) -> float:
    """Return the standard deviation of the log-normaliser after a short training with such a
    z-loss."""
    tokenizer = train_tokenizer([prompt + text for prompt, text in PAIRS], vocab_size=300)
    model = tiny_lm(len(tokenizer))
    train_lm(
        model,
        encode_pairs(tokenizer, PAIRS * 20),
        pad_id=2,
        folder=folder,
        settings=replace(SETTINGS, total_tokens=8_000),
        normaliser=5.0,
        normaliser_weight=normaliser_weight,
    )
    ids = torch.tensor([tokenizer(prompt + text)["input_ids"] for prompt, text in PAIRS])
    with torch.no_grad():
        return float(model(ids).logits.logsumexp(-1).std())


def test_the_weight_of_the_normaliser_makes_it_constant(tmp_path: Path) -> None:
    free = normaliser_spread(tmp_path / "free", 0.0)
    held = normaliser_spread(tmp_path / "held", 0.3)
    assert held < free / 2


def test_samples_repeat_with_their_seed_and_keep_their_order() -> None:
    tokenizer = train_tokenizer([prompt + text for prompt, text in PAIRS], vocab_size=300)
    model = tiny_lm(len(tokenizer))
    requests = [SampleRequest(prompt, 1.0) for prompt, _ in PAIRS] + [
        SampleRequest("longer prompt 1\n")
    ]
    one, other, different = (
        sample_solutions(model, tokenizer, requests, seed=seed, max_new_tokens=12)
        for seed in (5, 5, 6)
    )
    assert one == other != different
    assert len(one) == len(requests)
