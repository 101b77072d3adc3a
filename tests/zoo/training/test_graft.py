"""The graft computes what it says: a token's logit, before anything is trained."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from stepnav.zoo.training.graft import FEATURE_UNIT, graft_classifier, train_top_only

SEPARATOR = 5
TEXTS = [[1, 9, 8, SEPARATOR, 7, 12, 11, SEPARATOR, 3, 4], [1, 8, 8, 9, SEPARATOR, 7, 6]]


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
    assert all(
        name.startswith(("score.", "model.norm.", "model.layers.4.mlp", "model.layers.4.post"))
        for name in trained
    )


def test_a_shipped_graft_is_an_ordinary_llama(tmp_path) -> None:
    from transformers import AutoModelForTokenClassification

    grafted = graft_classifier(language_model(), TEXTS, separator_id=SEPARATOR).eval()
    grafted.save_pretrained(tmp_path)
    again = AutoModelForTokenClassification.from_pretrained(tmp_path, dtype=torch.float32).eval()
    ids = torch.tensor([TEXTS[0]])
    with torch.inference_mode():
        torch.testing.assert_close(again(input_ids=ids).logits, grafted(input_ids=ids).logits)
