"""Options on a Ray cluster that does the work."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from stepnav import build
from stepnav.cli.options.models import KEY_VARIABLE, ModelOptions
from stepnav.run.cluster import Cluster

Workers = Annotated[int, typer.Option(min=1, help="Ray: how many workers.")]


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Which cluster does the work; none does it in this process."""

    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Do the work on a Ray cluster: HOST:PORT, auto (this machine's) or local (one of "
            "its own). The run folder must be on a file system that all its nodes share.",
        ),
    ] = None
    cpus_per_worker: Annotated[float, typer.Option(min=0.0, help="Ray: CPUs of a worker.")] = 1.0
    gpus_per_worker: Annotated[float, typer.Option(min=0.0, help="Ray: GPUs of a worker.")] = 0.0

    def cluster(self, workers: int, models: ModelOptions | None = None) -> Cluster | None:
        """Return the cluster, None for this process; API keys of servers go with it."""
        if self.ray is None:
            return None
        names: list[str] = []
        if models is not None:
            names = [models.api_key_env or KEY_VARIABLE]
            names += [models.reward_api_key_env or build.REWARD_KEY]
        keys = {name: os.environ[name] for name in names if name in os.environ}
        return Cluster(self.ray, workers, self.cpus_per_worker, self.gpus_per_worker, keys)
