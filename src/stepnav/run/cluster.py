"""A Ray cluster: which one is meant, and a connection to it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from stepnav.core.errors import BackendError, ConfigError, one_line

CONNECT_S = 5.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Which workers do the work.

    Attributes:
      address: HOST:PORT of a Ray cluster, "auto" for this machine's, "local" for one of our own.
      workers: how many, at most.
      cpus, gpus: of each worker; may be parts of one.
      environment: variables that workers get, for instance API keys.
    """

    address: str
    workers: int
    cpus: float = 1.0
    gpus: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """Yield the library `ray`, connected to a cluster.

    Raises:
      ConfigError: it is not installed, or there is no such cluster.
      BackendError: one of our own does not start.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # its default to come
    try:
        import ray  # type: ignore[import-not-found,import-untyped,unused-ignore]
        import ray.exceptions  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise ConfigError("--ray needs Ray: pip install 'stepnav[ray]'") from None
    _check_address(cluster.address)
    own = {"num_cpus": max(1, round(cluster.workers * cluster.cpus)), "include_dashboard": False}
    handler = signal.getsignal(signal.SIGTERM)  # Ray sets one of its own
    try:
        ray.init(
            address=cluster.address,
            log_to_driver=False,
            logging_level="ERROR",
            **(own if cluster.address == "local" else {}),
        )
    except Exception as error:  # Ray raises bare ones too
        ray.shutdown()
        if cluster.address == "local":
            raise BackendError(
                f"Ray did not start on this machine ({one_line(error)}); try again, or leave --ray "
                "out"
            ) from None
        raise _no_cluster(cluster.address, error) from None
    try:
        with suppress(ValueError):  # in a thread
            signal.signal(signal.SIGTERM, handler)
        yield ray
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Refuse an address at which nothing answers, since Ray itself would try for a minute.

    Raises:
      ConfigError: it is none, or nothing answers.
    """
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in address or not port.isdecimal():
        raise ConfigError(
            f"--ray must be auto, local or HOST:PORT of the head node, as in 10.0.0.1:6379 (got "
            f"{address!r})"
        )
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from None


def _no_cluster(address: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"there is no Ray cluster at {address} ({one_line(error)}); start one with "
        "ray start --head, or take --ray local"
    )
