"""Models split over processes: PyTorch's FSDP2, on GPUs (nccl) and CPUs (gloo) alike.

accelerate's own FSDP settings do nothing on a CPU, so the model is sharded before the Trainer sees
it, and its checkpoints are PyTorch's distributed ones.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint import load as load_distributed
from torch.distributed.checkpoint import save as save_distributed
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)
from torch.distributed.fsdp import FSDPModule, fully_shard

from stepnav.core.errors import ConfigError
from stepnav.engine.checkpoint.loading import decoder_layers

SCHEDULE = "scheduler.pt"


def shard_model(model: Any, *, cpu: bool = False) -> None:
    """Split a model's parameters over the processes, layer by layer.

    Args:
      model: a decoder of `transformers`.
      cpu: whether to stay on the CPU although there is a GPU.

    Raises:
      ConfigError: this is a single process, or the model is built otherwise.
    """
    if not torch.distributed.is_torchelastic_launched():
        raise ConfigError(
            "--shard splits the model over several processes; start them with: "
            "torchrun --nproc_per_node N -m stepnav train ..."
        )
    layers = decoder_layers(model)
    if layers is None:
        raise ConfigError(
            f"--shard cannot split a {type(model).__name__}: it has no list of layers; leave it out"
        )
    is_gpu = torch.cuda.is_available() and not cpu
    if is_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if is_gpu else "gloo")
    if is_gpu:
        model.to(torch.device("cuda", torch.cuda.current_device()))
    mesh = torch.distributed.init_device_mesh(
        "cuda" if is_gpu else "cpu", (torch.distributed.get_world_size(),)
    )
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def leave_processes() -> None:
    """Leave the group of processes: one that is still in it may be aborted when it exits."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def is_sharded(model: Any) -> bool:
    """Return whether `shard_model` has split the model."""
    return isinstance(model, FSDPModule)


def whole_weights(model: Any) -> dict[str, Any]:
    """Return all weights of a sharded model, on the main process; every process must call this."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights: dict[str, Any] = get_model_state_dict(model, options=options)
    return weights


def save_shards(folder: Path, model: Any, optimizer: Any, schedule: Any) -> None:
    """Save this process's part of weights and optimizer state; every process must call this."""
    weights, moments = get_state_dict(model, _plain(optimizer))
    save_distributed({"model": weights, "optimizer": moments}, checkpoint_id=folder)
    if torch.distributed.get_rank() == 0:
        torch.save(schedule.state_dict(), folder / SCHEDULE)


def load_shards(folder: Path, model: Any, optimizer: Any, schedule: Any) -> None:
    """Load what `save_shards` saved, by as many processes or another number of them."""
    plain = _plain(optimizer)
    weights, moments = get_state_dict(model, plain)
    state = {"model": weights, "optimizer": moments}
    load_distributed(state, checkpoint_id=folder)
    set_state_dict(
        model, plain, model_state_dict=state["model"], optim_state_dict=state["optimizer"]
    )
    schedule.load_state_dict(torch.load(folder / SCHEDULE, weights_only=True))


def load_weight_shards(folder: Path, model: Any) -> None:
    """Load only the weights of what `save_shards` saved; every process must call this."""
    state = {"model": get_model_state_dict(model)}
    load_distributed(state, checkpoint_id=folder)
    set_model_state_dict(model, state["model"])


def keep_latest(folder: Path, count: int | None) -> None:
    """Remove all but the latest checkpoints."""
    paths = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for path in paths[:-count] if count else []:
        shutil.rmtree(path, ignore_errors=True)


def _plain(optimizer: Any) -> Any:
    """Return the optimizer inside accelerate's wrapper."""
    return getattr(optimizer, "optimizer", optimizer)
