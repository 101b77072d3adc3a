"""Tiny checkpoints of public reward models: real config and tokenizer classes, real special tokens,
real weight names, chat templates that render as theirs do. Random weights, spread out so that
scores differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from stepnav.core.records import Problem, Step, Trajectory

MATH = (
    "Janet's ducks lay 16 eggs per day. She eats three and bakes with four. How many are left?",
    "Step 1: She uses 3 + 4 = 7 eggs.\n",
    "Step 2: 16 - 7 = 9 are left, so \\frac{9}{1} = 9.\n",
    "Step 3: She sells them for $2 each: 9 * 2 = $18.\n",
    "Step 4: The answer is: 18",
)
CODE = (
    "Write a function that adds one to each number.\n\ndef add_one(xs):",
    "    result = []\n",
    "    for x in xs:\n",
    "        result.append(x + 1)\n",
    "    return result\n",
)
TALK = (
    "Why is the sum of two odd numbers even? Explain. ",
    "Let them be 2a+1 and 2b+1.\n\n",
    "Their sum is 2a + 2b + 2\n= 2(a + b + 1).\n\n",
    "- It is twice a whole number, + so it is even.",
)

QWEN_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nPlease reason step by step, and "
    "put "
    "your final answer within \\\\boxed{}.<|im_end|>\n{% endif %}{% for m in messages %}"
    "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA_TEMPLATE = (
    "{% if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}"
    "{{ bos_token + '<|start_header_id|>system<|end_header_id|>\n\n' }}"
    "{{ 'Cutting Knowledge Date: December 2023\nToday Date: ' + date_string + '\n\n<|eot_id|>' }}"
    "{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
    "{{ m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' "
    "}}{% endif %}"
)
LLAMA_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def trajectories() -> list[Trajectory]:
    """Return solutions of mathematics, code and several-line steps, whole and cut short."""
    found = []
    for name, (question, *steps) in {"m": MATH, "c": CODE, "t": TALK}.items():
        made = [Step(text) for text in steps[:-1]] + [Step(steps[-1], "end")]
        for depth in (1, 2, len(made)):
            found.append(Trajectory(Problem(name, question), tuple(made[:depth])))
    return found


def byte_level_vocabulary(split: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return vocabulary and merges of a byte-level BPE with a pattern for words."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(split), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([words, byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([*MATH, *CODE, *TALK, "\n\n", "+", "-"] * 4, trainer)
    model = json.loads(backend.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def qwen_tokenizer(*, bos: str | None = None, template: bool = True) -> Any:
    """Return a tokenizer as Qwen2.5-Math's."""
    from tokenizers import AddedToken
    from transformers import Qwen2Tokenizer
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    vocab, merges = byte_level_vocabulary(PRETOKENIZE_REGEX)
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=merges, bos_token=bos)
    names = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>")
    tokenizer.add_tokens([AddedToken(name, special=True) for name in names])
    tokenizer.chat_template = QWEN_TEMPLATE if template else None
    return tokenizer


def llama_tokenizer() -> Any:
    """Return a tokenizer as Llama 3.1's."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocab, merges = byte_level_vocabulary(LLAMA_SPLIT)
    backend = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=True))
    words = pre_tokenizers.Split(Regex(LLAMA_SPLIT), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([words, byte_level])
    backend.decoder = decoders.ByteLevel()
    names = ("begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eot_id")
    backend.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in names])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>"
    )
    tokenizer.chat_template = LLAMA_TEMPLATE
    return tokenizer


def mistral_tokenizer() -> Any:
    """Return a tokenizer as Mistral's, byte fallback included, that knows Math-Shepherd's tag."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaTokenizer

    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(split=True)
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=620, special_tokens=special, show_progress=False)
    lines = [line for text in (*MATH, *CODE, *TALK) for line in text.splitlines()]
    backend.train_from_iterator([*lines, "a ки", "b ки", "1 + 1 - 1"] * 4, trainer)
    model = json.loads(backend.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    return LlamaTokenizer(vocab=model["vocab"], merges=merges, add_bos_token=True)


def small(vocab_size: int, **extra: Any) -> dict[str, Any]:
    """Return the settings of a tiny decoder."""
    return {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        **extra,
    }


def spread(model: Any, seed: int) -> Any:
    """Return the model with larger random weights."""
    import torch

    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.5 if "embed" in name else 0.2)
            elif "bias" in name:
                parameter.normal_(std=0.1)
    return model.eval()


def write(folder: Path, tokenizer: Any, config: dict[str, Any], weights: dict[str, Any]) -> Path:
    """Write a checkpoint by hand: tokenizer, `config.json` and named tensors."""
    from safetensors.torch import save_file

    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in weights.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def qwen_prm(folder: Path) -> Path:
    """Write a Qwen2.5-Math-PRM as on the hub: own classes named, `score.0` and `score.2`."""
    import torch
    from transformers import Qwen2Config, Qwen2Model

    tokenizer = qwen_tokenizer()
    config = Qwen2Config(**small(len(tokenizer)))
    width = config.hidden_size
    head = torch.nn.Sequential(
        torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, 2)
    )
    backbone, head = spread(Qwen2Model(config), 1), spread(head, 2)
    weights = _named("model", backbone) | _named("score", head)
    auto_map = {
        "AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig",
        "AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel",
    }
    named = {"architectures": ["Qwen2ForProcessRewardModel"], "auto_map": auto_map}
    return write(folder, tokenizer, config.to_dict() | named, weights)


def skywork(folder: Path) -> Path:
    """Write a Skywork-o1-Open-PRM: a language model's weights and `v_head.summary`."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    tokenizer = qwen_tokenizer(bos="<|endoftext|>")
    config = Qwen2Config(**small(len(tokenizer)))
    model, head = spread(Qwen2ForCausalLM(config), 3), spread(torch.nn.Linear(32, 1), 4)
    weights = model.state_dict() | _named("v_head.summary", head)
    return write(
        folder, tokenizer, config.to_dict() | {"architectures": ["Qwen2ForPrmModel"]}, weights
    )


def math_shepherd(folder: Path) -> Path:
    """Write a Math-Shepherd PRM: a plain Mistral."""
    from transformers import MistralConfig, MistralForCausalLM

    tokenizer = mistral_tokenizer()
    config = MistralConfig(**small(len(tokenizer)), sliding_window=None)
    _save(folder, spread(MistralForCausalLM(config), 5), tokenizer)
    return folder


def rlhflow(folder: Path) -> Path:
    """Write an RLHFlow PRM: a plain Llama 3.1 with its chat template."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = llama_tokenizer()
    _save(folder, spread(LlamaForCausalLM(LlamaConfig(**small(len(tokenizer)))), 6), tokenizer)
    return folder


def token_classes(folder: Path, names: Iterable[str] = ("LABEL_0", "LABEL_1")) -> Path:
    """Write what TRL's PRM trainer makes of a Qwen2."""
    from transformers import Qwen2Config, Qwen2ForTokenClassification

    tokenizer = qwen_tokenizer()
    labels = dict(enumerate(names))
    config = Qwen2Config(
        **small(len(tokenizer)), id2label=labels, label2id={v: k for k, v in labels.items()}
    )
    _save(folder, spread(Qwen2ForTokenClassification(config), 7), tokenizer)
    return folder


def outcome(folder: Path, *, num_labels: int = 1, template: bool = True) -> Path:
    """Write an ORM: a Qwen2 for sequence classification."""
    from transformers import Qwen2Config, Qwen2ForSequenceClassification

    tokenizer = qwen_tokenizer(template=template)
    config = Qwen2Config(**small(len(tokenizer)), num_labels=num_labels)
    config.pad_token_id = tokenizer.pad_token_id
    _save(folder, spread(Qwen2ForSequenceClassification(config), 8), tokenizer)
    return folder


def encoder_outcome(folder: Path) -> Path:
    """Write an ORM that is no decoder: a BERT."""
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = qwen_tokenizer(template=False)
    settings = small(len(tokenizer), num_labels=2, pad_token_id=tokenizer.pad_token_id)
    del settings["num_key_value_heads"]
    _save(folder, spread(BertForSequenceClassification(BertConfig(**settings)), 9), tokenizer)
    return folder


def value_prm(folder: Path) -> Path:
    """Write a checkpoint of ours with one output, a value."""
    from stepnav.rewards.local.step_format import StepFormat
    from tests.engine.small_models import class_model, tokenizer

    _save(folder, class_model(num_labels=1), tokenizer())
    StepFormat(labels=(), temperature=1.7).save(folder)
    return folder


MAKERS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "prm": ("my-prm", value_prm),
    "token-classes": ("trl-prm", token_classes),
    "qwen-prm": ("Qwen2.5-Math-PRM-7B", qwen_prm),
    "math-shepherd": ("math-shepherd-mistral-7b-prm", math_shepherd),
    "rlhflow": ("Llama3.1-8B-PRM-Deepseek-Data", rlhflow),
    "skywork": ("Skywork-o1-Open-PRM-Qwen-2.5-1.5B", skywork),
    "orm": ("my-orm", outcome),
}
"""Family -> folder name and what writes a checkpoint into it."""


def _named(prefix: str, module: Any) -> dict[str, Any]:
    return {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}


def _save(folder: Path, model: Any, tokenizer: Any) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
