"""Options of `stepnav serve`: what requests may take, who may ask, and where it listens."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from stepnav.cli.console import note
from stepnav.core.errors import ConfigError
from stepnav.serve.house import Limits

KEYS_VARIABLE = "STEPNAV_API_KEYS"
_USUAL = Limits()


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """What requests may take."""

    active: Annotated[int, typer.Option(min=1, help="Searches that run at once.")] = _USUAL.active
    queue: Annotated[int, typer.Option(min=0, help="Requests that wait besides.")] = _USUAL.queue
    budget_tokens: Annotated[
        int | None,
        typer.Option(
            "--budget", min=1, help="Generated tokens of a search whose request says nothing."
        ),
    ] = None
    max_budget_tokens: Annotated[
        int, typer.Option("--max-budget", min=1, help="Most that any search may generate.")
    ] = _USUAL.max_budget_tokens
    max_seconds: Annotated[
        float, typer.Option(help="Longest search; it ends with its best so far.")
    ] = _USUAL.max_seconds
    grace_s: Annotated[
        float,
        typer.Option(
            "--grace", help="Seconds that searches have after the server is told to stop."
        ),
    ] = _USUAL.grace_s
    max_body_bytes: Annotated[
        int, typer.Option("--max-body", min=1, help="Most bytes of a request's body.")
    ] = _USUAL.max_body_bytes

    def limits(self) -> Limits:
        """Return the limits.

        Raises:
          ConfigError: they contradict each other.
        """
        return Limits(**asdict(self))


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """Where API keys are."""

    keys_env: Annotated[
        str, typer.Option(metavar="NAME", help="Variable with API keys, separated by commas.")
    ] = KEYS_VARIABLE
    keys_file: Annotated[
        Path | None, typer.Option(help="File with API keys, one per line; requests must bring one.")
    ] = None

    def keys(self) -> tuple[str, ...]:
        """Return the API keys that are known.

        Raises:
          ConfigError: there are none where they should be.
        """
        if not re.fullmatch(r"[A-Za-z_]\w*", self.keys_env):  # it may be a key itself
            raise ConfigError(
                "--keys-env must name an environment variable, and this is no such name"
            )
        text = os.environ.get(self.keys_env, "").replace(",", "\n")
        if self.keys_env != KEYS_VARIABLE and not text.strip():
            raise ConfigError(
                f"--keys-env must name a variable that holds API keys; {self.keys_env} holds none"
            )
        if self.keys_file is not None:
            own = self.keys_file.read_bytes().decode(errors="surrogateescape")
            if not own.strip():
                raise ConfigError(f"{self.keys_file} holds no API key; write one on each line")
            text += "\n" + own
        if re.search("[\ud800-\udfff]", text):  # what stands for bytes that are no text
            raise ConfigError("the API keys (--keys-file, --keys-env) are not UTF-8 text")
        return tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens, and in how many processes."""

    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="One more name by which the server may be called, as behind a proxy; may be "
            "repeated. Without it, only one on this machine alone, without API keys, asks for any.",
        ),
    ] = None
    workers: Annotated[int, typer.Option(min=1, help="Processes that share the port.")] = 1
    socket_number: Annotated[int | None, typer.Option("--socket", hidden=True)] = None

    @property
    def is_parent(self) -> bool:
        """Whether this process only looks after others, to which it hands its socket."""
        return self.workers > 1 and self.socket_number is None

    def listen(self, *, is_open: bool) -> tuple[socket.socket, tuple[str, ...]]:
        """Return the socket, and by which names the server may be called; empty are all.

        Args:
          is_open: whether no API key is asked for.
        Raises:
          ConfigError: the address cannot be used, or a name is none.
        """
        from stepnav.serve.server import open_socket

        for name in self.allow_host or ():
            if not re.fullmatch(r"[\w.-]+", name):
                raise ConfigError(f"--allow-host must be a name without a port (got {name!r})")
        if self.socket_number is not None:
            listening = socket.socket(fileno=self.socket_number)
            return listening, self._hosts(listening, is_open)
        listening = open_socket(self.host, self.port)
        if is_open and not _is_local(listening):
            note(
                f"{self.host} can be reached from outside, and no API key is asked for "
                "(--keys-file)"
            )
        return listening, self._hosts(listening, is_open)

    def _hosts(self, listening: socket.socket, is_open: bool) -> tuple[str, ...]:
        """Return the names of an open server on this machine alone, or of one that is given some.

        The gate knows the addresses of this machine by itself.
        """
        if not (self.allow_host or (is_open and _is_local(listening))):
            return ()
        return tuple(name.lower() for name in ("localhost", self.host, *(self.allow_host or ())))


def _is_local(listening: socket.socket) -> bool:
    return ip_address(listening.getsockname()[0]).is_loopback


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """Which finished searches are kept."""

    traces: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps finished searches, for /traces and stepnav show."),
    ] = None
    max_traces: Annotated[int, typer.Option(min=1, help="How many are kept.")] = 10_000
