"""Reward models by vLLM in this process: its pooling runner, read as the family is read here.

For families whose scores are outputs at tokens (token classifiers, Qwen's process reward model) or
at the end of texts (sequence classifiers). Those that write labels are language models, which its
pooling runner does not run: open them in this process without vLLM, or on a server.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stepnav.core.errors import BackendDown, ConfigError, one_line
from stepnav.engine.checkpoint.loading import load_structure, load_tokenizer, require_torch
from stepnav.engine.checkpoint.model_folder import checked_folder
from stepnav.engine.row import Row
from stepnav.engine.vllm import VllmRunner, require_vllm
from stepnav.rewards.families.qwen_prm import SEPARATOR
from stepnav.rewards.families.recognise import FAMILIES, read_checkpoint, recognise
from stepnav.rewards.local.reward import LocalReward


def open_vllm_reward(
    folder: str | Path,
    *,
    name: str = "",
    family: str | None = None,
    dtype: str = "float32",
    max_batch: int = 64,
    options: str = "",
) -> LocalReward:
    """Return the reward model in a folder, run by vLLM.

    Args:
      folder: made by `save_pretrained`.
      name, family: as of `open_checkpoint`.
      dtype, max_batch, options: as of `VllmPolicy`.
    Raises:
      ConfigError: vLLM is not installed or cannot run the model, or the family writes labels.
    """
    require_vllm()
    require_torch("transformers")
    path = checked_folder(folder)
    chosen = family or recognise(read_checkpoint(path, name))
    kind = FAMILIES[chosen]
    if kind.served not in ("tokens", "texts"):
        raise ConfigError(
            f"vLLM's pooling runner does not run {chosen}; open it in this process without vllm:, "
            "or serve it and name its URL"
        )
    try:
        structure = load_structure(kind.model_class(), path)
    except Exception as error:  # transformers raises many kinds
        raise ConfigError(f"{path} is no {kind.noun} ({one_line(error)})") from None
    tokenizer = load_tokenizer(path)
    settings = kind.format(path, structure.config)
    reader = kind.reader(structure, tokenizer, settings)
    usual = ["--runner", "pooling", "--dtype", dtype, "--max-num-seqs", str(max_batch)]
    if chosen == "qwen-prm":
        mark = tokenizer.convert_tokens_to_ids(SEPARATOR)
        pooler = {"tok_pooling_type": "STEP", "step_tag_id": mark}
        usual += ["--pooler-config", json.dumps(pooler)]
    task = "token_classify" if kind.served == "tokens" else "classify"
    return LocalReward(reader, _Pooling(path, usual, options, task), structure, settings)


class _Pooling(VllmRunner):
    """Asks vLLM for outputs at tokens, or at the end of a text.

    Args:
      folder, usual, options: as of `VllmRunner`.
      task: vLLM's name of what is asked for.
    """

    def __init__(self, folder: Path, usual: list[str], options: str, task: str) -> None:
        self._task = task
        super().__init__(folder, usual, options)

    def forward(self) -> tuple[list[tuple[Row, int]], Any]:
        """Return the pairs of row and position that were read, and their outputs [N, C]."""
        import torch

        asked, outputs = super().forward()
        return asked, torch.stack(outputs) if outputs else None

    def _asked(self, row: Row) -> tuple[list[int], Any]:
        from vllm import PoolingParams

        params = PoolingParams(task=self._task, use_activation=False)
        return row.tokens[: row.wanted[-1] + 1], params

    def _read(self, row: Row, output: Any) -> list[tuple[int, Any]]:
        data, end = output.outputs.data.float(), row.wanted[-1]
        row.num_filled = end + 1
        if data.dim() == 1:
            return [(end, data)]
        mark = row.tokens[end]
        marks = [at for at in range(end + 1) if row.tokens[at] == mark]
        places = {len(marks): marks, end + 1: range(end + 1)}.get(len(data))
        if places is None:
            raise BackendDown(
                f"vLLM gave {len(data)} outputs for {end + 1} tokens, {len(marks)} of them marks",
                provider="vllm",
            )
        return [(at, data[places.index(at)]) for at in row.wanted]
