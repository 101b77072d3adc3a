"""The scoring of each model card, step by step and without an engine: (folder, trajectory) to
P(right).

Written for these tests from what the cards say; whole texts, no cache, marks searched for as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    Qwen2Config,
    Qwen2Model,
)

from stepnav.core.records import Trajectory, trimmed

BOXED = "Please reason step by step, and put your final answer within \\boxed{}."


def texts(trajectory: Trajectory) -> list[str]:
    return [trimmed(step.text) for step in trajectory.steps]


@lru_cache(maxsize=64)
def tokenizer_of(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


@lru_cache(maxsize=64)
def model_of(folder: Path, loader: Any) -> Any:
    return loader.from_pretrained(folder).eval()


@lru_cache(maxsize=8)
def backbone(folder: Path) -> tuple[Any, dict[str, Any]]:
    weights = load_file(folder / "model.safetensors")
    model = Qwen2Model(Qwen2Config.from_pretrained(folder)).eval()
    model.load_state_dict(
        {k.removeprefix("model."): v for k, v in weights.items() if k.startswith("model.")}
    )
    return model, weights


def qwen_prm(folder: Path, trajectory: Trajectory) -> list[float]:
    tokenizer = tokenizer_of(folder)
    model, weights = backbone(folder)
    messages = [
        {"role": "system", "content": BOXED},
        {"role": "user", "content": trajectory.problem.question},
        {"role": "assistant", "content": "<extra_0>".join(texts(trajectory)) + "<extra_0>"},
    ]
    shown = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
    ids = torch.tensor([tokenizer.encode(shown)])
    with torch.inference_mode():
        hidden = model(input_ids=ids).last_hidden_state[0]
    inner = (hidden @ weights["score.0.weight"].T + weights["score.0.bias"]).relu()
    logits = inner @ weights["score.2.weight"].T + weights["score.2.bias"]
    at = ids[0] == tokenizer.convert_tokens_to_ids("<extra_0>")
    return logits[at].softmax(-1)[:, 1].tolist()


def skywork(folder: Path, trajectory: Trajectory) -> list[float]:
    tokenizer = tokenizer_of(folder)
    model, weights = backbone(folder)
    ids = tokenizer.encode(tokenizer.bos_token + trajectory.problem.question + "\n")
    newline = tokenizer.encode("\n")[-1]
    ends, steps = [], texts(trajectory)
    for line in "\n".join(steps).split("\n"):
        ids += [*tokenizer.encode(line), newline]
        ends.append(len(ids) - 1)
    with torch.inference_mode():
        hidden = model(input_ids=torch.tensor([ids])).last_hidden_state[0, ends]
    values = hidden @ weights["v_head.summary.weight"][0] + weights["v_head.summary.bias"]
    lines_of = [step.count("\n") + 1 for step in steps]
    return [float(values[sum(lines_of[: i + 1]) - 1].sigmoid()) for i in range(len(steps))]


def math_shepherd(folder: Path, trajectory: Trajectory) -> list[float]:
    tokenizer = tokenizer_of(folder)
    model = model_of(folder, AutoModelForCausalLM)
    candidates = tokenizer.encode("+ -")[1:]
    tag = tokenizer.encode("ки")[-1]
    output = "\n".join(f"{step} ки" for step in texts(trajectory))
    ids = torch.tensor([tokenizer.encode(f"{trajectory.problem.question} {output}")])
    with torch.inference_mode():
        logits = model(ids).logits[:, :, candidates]
    return logits.softmax(-1)[:, :, 0][ids == tag].tolist()


def rlhflow(folder: Path, trajectory: Trajectory) -> list[float]:
    tokenizer = tokenizer_of(folder)
    model = model_of(folder, AutoModelForCausalLM)
    candidates = [tokenizer.encode("+")[-1], tokenizer.encode("-")[-1]]
    conversation: list[dict[str, str]] = []
    scores = []
    for index, step in enumerate(texts(trajectory)):
        text = step if index else f"{trajectory.problem.question} {step}"
        conversation.append({"role": "user", "content": text})
        conversation.append({"role": "assistant", "content": "+"})
        ids = tokenizer.apply_chat_template(conversation, return_tensors="pt", return_dict=False)
        with torch.inference_mode():
            logits = model(ids).logits[:, -3, candidates]
        scores.append(float(logits.softmax(-1)[0, 0]))
    return scores


def token_classes(folder: Path, trajectory: Trajectory) -> list[float]:
    """As in TRL's `tokenize_row`; the last class is "right"."""
    tokenizer = tokenizer_of(folder)
    model = model_of(folder, AutoModelForTokenClassification)
    ids = tokenizer(trajectory.problem.question, add_special_tokens=False)["input_ids"]
    if tokenizer.bos_token_id is not None:
        ids = [tokenizer.bos_token_id, *ids]
    separator, ends = tokenizer.encode("\n", add_special_tokens=False), []
    for step in texts(trajectory):
        ids = ids + tokenizer(step, add_special_tokens=False)["input_ids"] + separator
        ends.append(len(ids) - 1)
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0, ends]
    return logits.softmax(-1)[:, -1].tolist()


def value_prm(folder: Path, trajectory: Trajectory) -> list[float]:
    """Our own format with a newline after the question, one output, temperature 1.7."""
    tokenizer = tokenizer_of(folder)
    model = model_of(folder, AutoModelForTokenClassification)
    ids = [tokenizer.bos_token_id]
    ids += tokenizer.encode(trajectory.problem.question + "\n", add_special_tokens=False)
    ends = []
    for step in texts(trajectory):
        for piece in (step, "\n"):
            ids += tokenizer.encode(piece, add_special_tokens=False)
        ends.append(len(ids) - 1)
    with torch.inference_mode():
        values = model(torch.tensor([ids])).logits[0, ends, 0]
    return (values / 1.7).sigmoid().tolist()


def outcome(folder: Path, trajectory: Trajectory) -> list[float]:
    tokenizer = tokenizer_of(folder)
    model = model_of(folder, AutoModelForSequenceClassification)
    steps = texts(trajectory)
    return [
        _outcome(tokenizer, model, trajectory.problem.question, steps[: depth + 1])
        for depth in range(len(steps))
    ]


def _outcome(tokenizer: Any, model: Any, question: str, steps: Sequence[str]) -> float:
    text = "\n".join(steps)
    if tokenizer.chat_template:
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
        ids = tokenizer.apply_chat_template(messages, return_tensors="pt", return_dict=False)
    else:
        ids = torch.tensor([tokenizer.encode(f"{question}\n{text}")])
    with torch.inference_mode():
        logits = model(ids).logits[0]
    return float(logits[0].sigmoid() if len(logits) == 1 else logits.softmax(-1)[1])


REFERENCES: dict[str, Callable[[Path, Trajectory], list[float]]] = {
    "prm": value_prm,
    "token-classes": token_classes,
    "qwen-prm": qwen_prm,
    "math-shepherd": math_shepherd,
    "rlhflow": rlhflow,
    "skywork": skywork,
    "orm": outcome,
}
