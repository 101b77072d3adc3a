"""Options on a Ray cluster, and what its workers do for a comparison."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from stepnav.cli.bench_plan import PlanOptions
from stepnav.cli.model_options import ModelOptions
from stepnav.cli.options import TaskOptions
from stepnav.core.errors import ConfigError
from stepnav.measure.plan_file import plan_digest
from stepnav.measure.runner import Finished, run_cells
from stepnav.run.on_ray import Cluster, Work
from stepnav.run.spreading import Chunk

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
        names = () if models is None else models.key_variables
        keys = {name: os.environ[name] for name in names if name in os.environ}
        return Cluster(self.ray, workers, self.cpus_per_worker, self.gpus_per_worker, keys)


@contextmanager
def open_comparison(
    options: PlanOptions, tasks: TaskOptions, models: ModelOptions, active: int, digest: str
) -> Iterator[Work]:
    """Open the models of a comparison in a worker; its work runs a `Chunk` of the searches.

    Args:
      options, tasks, models, active: as the command has them.
      digest: of the command's plan.
    Raises:
      ConfigError: here the same options make another plan.
    """
    made = options.comparison(tasks, models, active)
    if plan_digest(made.plan) != digest:
        raise ConfigError(
            f"the worker on {socket.gethostname()} makes another plan of the same options (digest "
            f"{plan_digest(made.plan)}, the command's {digest}): its stepnav, data or models differ"
        )
    searches = {cell.search_id: cell for cell in made.cells}
    with made.open_models(models, active) as opened:

        def work(chunk: Chunk) -> Iterator[Finished]:
            with chunk.journal(digest) as journal:
                yield from run_cells(
                    [searches[search_id] for search_id in chunk.search_ids],
                    made.problems,
                    extractor=made.task.extractor,
                    grade=made.task.grade,
                    models=opened.by_name,
                    journal=journal,
                    max_active=active,
                )

        yield work
