"""The graft computes what it says: a token's logit, before anything is trained."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
)

from stepnav.rewards.local.step_format import StepFormat
from stepnav.zoo import MODELS_FOLDER
from stepnav.zoo.training.graft import FREE_DIMENSIONS, graft_classifier, train_top_only
from stepnav.zoo.training.step_heads import FEATURE_UNIT, MAX_DOUBT, Stream
from stepnav.zoo.training.ungraft import ungraft

SEPARATOR = 5
TEXTS = [[1, 9, 8, SEPARATOR, 7, 12, 11, SEPARATOR, 3, 4], [1, 8, 8, 9, SEPARATOR, 7, 6]]
QUESTION = (
    "Write solve(n), which goes through the numbers from 1 to n, multiplies those divisible by 5 "
    "by 2 and subtracts the others from 15 and returns them as a list.\ndef solve(n):"
)
RIGHT = [
    "    kept = []\n",
    "    for i in range(1, n + 1):\n",
    "        i = i * 2 if i % 5 == 0 else 15 - i\n",
    "        kept.append(i)\n",
    "    return kept\n",
]
WRONG = [*RIGHT[:2], "        i = i * 9 if i % 5 == 0 else 15 - i\n", *RIGHT[3:]]


def language_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=32,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=True,
        max_position_embeddings=64,
    )
    model = LlamaForCausalLM._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        model.model.embed_tokens.weight.normal_(0, 0.5)
    return model


def test_the_feature_is_the_logit_of_each_token() -> None:
    model = language_model()
    grafted = graft_classifier(model, TEXTS, separator_id=SEPARATOR).eval()
    feature = 3 * model.config.hidden_size
    for text in TEXTS:
        ids = torch.tensor([text])
        with torch.inference_mode():
            logits = model(input_ids=ids).logits[0, :-1]
            wanted = logits.gather(1, ids[0, 1:, None])[:, 0]
            layers = grafted.model(input_ids=ids, output_hidden_states=True).hidden_states
        found = layers[model.config.num_hidden_layers + 1][0, 1:, feature] * FEATURE_UNIT
        torch.testing.assert_close(found, wanted, atol=0.05, rtol=0.02)


def test_only_the_top_is_trained() -> None:
    grafted = graft_classifier(language_model(), TEXTS, separator_id=SEPARATOR)
    train_top_only(grafted)
    trained = {name for name, p in grafted.named_parameters() if p.requires_grad}
    assert trained
    parts = ("score.", "model.norm.", "model.layers.4.mlp", "model.layers.4.post", "model.layers.5")
    assert all(name.startswith(parts) for name in trained)


def code_graft(*solutions: list[str]) -> tuple[Any, list[tuple[list[int], list[int]]]]:
    """Return a graft on the shipped code model's backbone, untrained, and tokens with step ends."""
    folder = MODELS_FOLDER / "micro-python-policy"
    policy = AutoModelForCausalLM.from_pretrained(folder)
    shipped = AutoModelForTokenClassification.from_pretrained(
        MODELS_FOLDER / "micro-python-prm", dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    step_format = StepFormat()
    rows = [step_format.encode(tokenizer, QUESTION, steps) for steps in solutions]
    (separator,) = step_format.separator_ids(tokenizer)
    torch.manual_seed(0)
    model = graft_classifier(
        ungraft(shipped, policy), [ids for ids, _ in rows], separator_id=separator
    )
    return model.eval(), rows


@torch.inference_mode()
def step_logits(model: Any, ids: list[int], ends: list[int]) -> torch.Tensor:
    return model(input_ids=torch.tensor([ids])).logits[0, ends]


def test_a_step_is_rated_by_its_own_least_likely_token() -> None:
    """However far back in the step that is."""
    model, rows = code_graft(RIGHT, WRONG)
    pooled = Stream((model.config.hidden_size - FREE_DIMENSIONS) // 3).pooled
    found, ratings = [], []
    for ids, ends in rows:
        with torch.inference_mode():
            states = model.model(input_ids=torch.tensor([ids]), output_hidden_states=True)
        ratings.append(step_logits(model, ids, ends).argmax(-1).tolist())
        found.append((states.hidden_states[-2][0, ends, pooled] * FEATURE_UNIT).tolist())
    assert min(found[0]) > -1.5
    assert found[1][2] < -4.0
    assert 0 not in ratings[0]  # negative; nothing was trained yet
    assert ratings[1][2] == 0


def test_the_oddest_line_leaves_the_next_ones_alone() -> None:
    odd = [*RIGHT[:2], "        # qqq qqq 77777 %% zz\n", *RIGHT[2:]]
    model, [(ids, ends)] = code_graft(odd)
    stream = Stream((model.config.hidden_size - FREE_DIMENSIONS) // 3)
    with torch.inference_mode():
        states = model.model(input_ids=torch.tensor([ids]), output_hidden_states=True)
    states = states.hidden_states[-2][0] * FEATURE_UNIT
    lowest = [states[start + 1 : end, stream.clipped].min() for start, end in pairwise(ends)]
    torch.testing.assert_close(
        states[ends[1:], stream.pooled], torch.stack(lowest), atol=0.4, rtol=0.1
    )
    assert states[ends[2], stream.pooled] < -0.9 * MAX_DOUBT
    assert states[ends[3], stream.pooled] > -0.5 * MAX_DOUBT


def test_small_updates_of_the_trained_top_change_little() -> None:
    """What the graft knows must outlive the first updates, which go in all directions."""
    model, [(ids, ends)] = code_graft(WRONG)
    before = step_logits(model, ids, ends)
    train_top_only(model)
    with torch.no_grad():
        for parameter in model.model.parameters():
            if parameter.requires_grad and parameter.ndim == 2:
                parameter += torch.randn_like(parameter) * 1e-4
    torch.testing.assert_close(step_logits(model, ids, ends), before, atol=0.5, rtol=0.1)


def test_the_language_model_comes_out_of_a_graft_again() -> None:
    model = language_model()
    found = ungraft(graft_classifier(model, TEXTS, separator_id=SEPARATOR), model)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], weight, atol=1e-5, rtol=1e-4)


def test_a_shipped_graft_is_an_ordinary_llama(tmp_path) -> None:
    from transformers import AutoModelForTokenClassification

    grafted = graft_classifier(language_model(), TEXTS, separator_id=SEPARATOR).eval()
    grafted.save_pretrained(tmp_path)
    again = AutoModelForTokenClassification.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids = torch.tensor([TEXTS[0]])
    with torch.inference_mode():
        torch.testing.assert_close(again(input_ids=ids).logits, grafted(input_ids=ids).logits)


def test_every_run_begins_with_the_same_weights() -> None:
    backbone = AutoModelForCausalLM.from_pretrained(MODELS_FOLDER / "arithmetic-policy").float()
    found = []
    for number in range(8):
        torch.manual_seed(0)
        _elsewhere = torch.empty(1237 * number + 1)  # shifts what is made next in memory
        model = graft_classifier(backbone, TEXTS, separator_id=SEPARATOR)
        found.append(model.state_dict())
    for other in found[1:]:
        assert all(torch.equal(weights, other[name]) for name, weights in found[0].items())
