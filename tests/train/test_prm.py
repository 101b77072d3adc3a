from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from stepnav.rewards.step_format import StepFormat
from stepnav.train.lm import encode_pairs, train_lm
from stepnav.train.loop import TrainSettings
from stepnav.train.prm import grow_classifier, train_prm
from stepnav.train.records import StepRecord, encode_records
from stepnav.train.sampling import SampleRequest, sample_solutions
from stepnav.train.scoring import class_probs, lowest_logprobs
from stepnav.zoo.tokenizer import train_tokenizer

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


def test_a_grown_classifier_starts_as_the_language_model() -> None:
    language_model = tiny_lm(300)
    classifier = grow_classifier(language_model, extra_layers=2).eval()
    ids = torch.randint(3, 300, (2, 9))
    with torch.no_grad():
        bottom = language_model.model(ids).last_hidden_state
        grown = classifier.model(ids).last_hidden_state
    torch.testing.assert_close(grown, bottom)
    assert classifier.config.id2label == {0: "negative", 1: "neutral", 2: "positive"}


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
    prm = grow_classifier(model, extra_layers=1)
    train_prm(prm, lambda epoch: data, pad_id=2, folder=tmp_path / "prm", settings=SETTINGS)
    solutions = [(record.prompt, record.completions) for record in records]
    probs = class_probs(prm, tokenizer, solutions, StepFormat())
    rated = [-1 if steps[0][0] == max(steps[0]) else 1 for steps in probs]
    assert rated == [record.labels[0] for record in records]
    lows = lowest_logprobs(model, tokenizer, solutions, StepFormat())
    good = min(low[0] for low, record in zip(lows, records) if record.labels[0] == 1)
    bad = max(low[0] for low, record in zip(lows, records) if record.labels[0] == -1)
    assert good > bad


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
