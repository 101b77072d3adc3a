"""Recipe stage that takes the shipped language models in place of new ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stepnav.zoo import MODELS_FOLDER
from stepnav.zoo.domain import Domain
from stepnav.zoo.folders import copy_folder, reading, write_compute
from stepnav.zoo.language import save_model


def keep_shipped(out: Path, domain: Domain) -> Any:
    """Put the shipped policy and the backbone of the shipped reward model where stages look.

    Args:
      out: the recipe's folder.
      domain: the task.

    Returns:
      The tokenizer of all models.
    """
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoModelForTokenClassification,
        AutoTokenizer,
    )

    from stepnav.zoo.training.ungraft import ungraft

    source, prm = (MODELS_FOLDER / name for name in (domain.policy_name, domain.prm_name))
    copy_folder(source, out / domain.policy_name)
    with reading(prm):
        tokenizer = AutoTokenizer.from_pretrained(source)
        classifier = AutoModelForTokenClassification.from_pretrained(prm, dtype=torch.float32)
        policy = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    spent = known_figures(domain)["recipe"]["compute"]
    for part in ("lm", "normalised"):  # the rounding to bfloat16 aside, the latter is what is kept
        folder = out / "work" / part
        if not (folder / "final").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_compute(folder, **spent[part])
            save_model(ungraft(classifier, policy), tokenizer, folder / "final")
    return tokenizer


def known_figures(domain: Domain) -> dict[str, Any]:
    """Return the evaluation that lies beside the shipped models."""
    path = MODELS_FOLDER / domain.prm_name / "evaluation.json"
    with reading(path):
        return dict(json.loads(path.read_text()))
