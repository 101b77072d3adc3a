"""Recipe stages that make the tokenizer and the language model.

Its early snapshots are the candidate policies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepnav.files.atomic import whole_folder
from stepnav.zoo.domain import Count, Domain, Making
from stepnav.zoo.folders import reading, write_compute
from stepnav.zoo.scale import Scale
from stepnav.zoo.tokenizer import train_tokenizer
from stepnav.zoo.training.batches import TokenExamples
from stepnav.zoo.training.settings import TrainSettings

MAX_POSITIONS = 512

MIN_COMPILED_TOKENS = 1_000_000
"""Compiling takes as long as some hundred thousand tokens."""
PROGRESS_PROBLEMS = 500
"""Progress is told each time so many problems are drawn."""


def reference_pairs(
    domain: Domain, count: int, *, seed: int, progress: Count | None = None
) -> Iterator[tuple[str, str]]:
    """Yield (prompt, solution) of training problems; `progress` is told how many are drawn."""
    for index in range(count):
        if progress is not None and index % PROGRESS_PROBLEMS == 0:
            progress(index, count)
        name = domain.training_id(seed, index)
        yield domain.prompt(domain.question(name)), domain.solution(name)


def make_tokenizer(making: Making) -> Any:
    """Return the recipe's tokenizer, trained unless it is there."""
    from transformers import AutoTokenizer

    folder, domain, scale = making.work / "tokenizer", making.domain, making.scale
    if not (folder / "tokenizer.json").exists():
        progress = making.count_of("tokenizer's problems")
        pairs = reference_pairs(
            domain, scale.tokenizer_problems, seed=making.seed, progress=progress
        )
        texts = (prompt + solution for prompt, solution in pairs)
        tokenizer = train_tokenizer(
            texts, vocab_size=scale.vocab_size, pattern=domain.token_pattern
        )
        with whole_folder(folder) as place:
            tokenizer.save_pretrained(place)
    with reading(folder):
        return AutoTokenizer.from_pretrained(folder)


def model_config(scale: Scale, tokenizer: Any, *, layers: int) -> Any:
    """Return the Llama configuration of the recipe's models."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=scale.width,
        intermediate_size=3 * scale.width,
        num_hidden_layers=layers,
        num_attention_heads=scale.heads,
        num_key_value_heads=scale.heads,
        max_position_embeddings=MAX_POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def lm_settings(scale: Scale, seed: int) -> TrainSettings:
    """Return how the language model is trained."""
    return TrainSettings(
        total_tokens=scale.lm_tokens,
        batch_tokens=scale.lm_batch_tokens,
        warmup_tokens=scale.lm_tokens // 100,
        decay_fraction=0.4,
        seed=seed,
        compile=scale.compile,
        snapshot_tokens=tuple(range(scale.snapshot_tokens, scale.lm_tokens, scale.snapshot_tokens)),
    )


def train_language_model(making: Making) -> None:
    """Train the language model into `work / "lm" / "final"`; snapshots by `scale.snapshot_tokens`.

    The drawing of its problems, the training and its checkpoints are there too.
    """
    import torch
    from transformers import LlamaForCausalLM

    from stepnav.zoo.training.lm import encode_pairs, train_lm

    folder, scale, tokenizer = making.work / "lm", making.scale, making.tokenizer
    if (folder / "final" / "config.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data.npz"
    if not data.exists():
        progress = making.count_of("language model's problems")
        pairs = reference_pairs(
            making.domain, scale.lm_problems, seed=making.seed, progress=progress
        )
        encode_pairs(tokenizer, pairs, learn_prompt=scale.learned_questions).save(data)
    torch.manual_seed(making.seed)
    config = model_config(scale, tokenizer, layers=scale.layers)
    model = LlamaForCausalLM._from_config(config, attn_implementation="eager").to(making.device)
    with reading(data):
        examples = TokenExamples.load(data)
    if scale.packed_width is not None:
        examples = examples.packed(scale.packed_width)
    position = train_lm(
        model,
        examples,
        pad_id=tokenizer.pad_token_id,
        first_id=None if scale.packed_width is None else tokenizer.bos_token_id,
        folder=folder,
        settings=lm_settings(scale, making.seed),
        progress=making.stage("language model"),
        on_snapshot=lambda tokens: save_model(model, tokenizer, snapshot_folder(folder, tokens)),
    )
    write_compute(folder, tokens=position.tokens, seconds=position.seconds)
    save_model(model, tokenizer, folder / "final")


def normalise_language_model(making: Making) -> None:
    """Train the language model on, into `work / "normalised"`, until its normaliser is constant.

    Solutions end with a separator here, as the reward model will read them, and are learned from
    the first separator on, which is where the reward model takes a solution to begin. Problems are
    new ones.
    """
    import torch
    from transformers import LlamaForCausalLM

    from stepnav.zoo.training.lm import encode_pairs, mean_normaliser, train_lm

    folder, scale, tokenizer = making.work / "normalised", making.scale, making.tokenizer
    source, seed = making.work / "lm" / "final", making.seed
    if (folder / "final" / "config.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pairs = reference_pairs(making.domain, max(8, scale.normalise_tokens // 150), seed=seed + 77)
    ended = (_from_first_separator(making.domain, *pair) for pair in pairs)
    examples = encode_pairs(tokenizer, ended, learn_prompt=False)
    torch.manual_seed(seed)
    with reading(source):
        model = LlamaForCausalLM.from_pretrained(source, attn_implementation="eager")
    model.to(making.device)
    position = train_lm(
        model,
        examples,
        pad_id=tokenizer.pad_token_id,
        folder=folder,
        settings=TrainSettings(
            total_tokens=scale.normalise_tokens,
            batch_tokens=scale.lm_batch_tokens,
            muon_rate=None,
            adamw_rate=1e-3,
            warmup_tokens=scale.normalise_tokens // 13,
            decay_fraction=0.6,
            bfloat16=False,
            seed=seed,
            compile=scale.compile and scale.normalise_tokens >= MIN_COMPILED_TOKENS,
        ),
        normaliser=mean_normaliser(model, [examples.row(i) for i in range(min(64, len(examples)))]),
        normaliser_weight=scale.normalise_weight,
        progress=making.stage("normaliser"),
    )
    write_compute(folder, tokens=position.tokens, seconds=position.seconds)
    save_model(model, tokenizer, folder / "final")


def _from_first_separator(domain: Domain, prompt: str, solution: str) -> tuple[str, str]:
    r"""Return (what is only read, what is learned) of a reference.

    Example:
      >>> from stepnav.zoo.micro_python import DOMAIN
      >>> _from_first_separator(DOMAIN, "Double n.\ndef solve(n):\n", "    return 2 * n")
      ('Double n.\n', 'def solve(n):\n    return 2 * n\n')
    """
    head, separator, rest = prompt.partition(domain.separator)
    return head + separator, rest + solution + domain.separator


def snapshot_folder(folder: Path, tokens: int) -> Path:
    """Return where the snapshot after so many tokens is saved."""
    return folder / f"snapshot-{tokens}"


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save weights, tokenizer and generation defaults, whole or not at all."""
    from transformers import GenerationConfig

    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=MAX_POSITIONS // 2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with whole_folder(folder) as place:
        model.save_pretrained(place)
        tokenizer.save_pretrained(place)
