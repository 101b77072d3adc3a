"""The server's process: its socket, its signals, and several of it side by side."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn

from stepnav.core.errors import BackendError, ConfigError
from stepnav.serve.app import make_app
from stepnav.serve.gate import SEND_S
from stepnav.serve.house import House
from stepnav.serve.metrics import forget_open
from stepnav.serve.service import Service

BACKLOG = 2048
IDLE_S = 75
"""So long an idle connection is kept: where a client gives it up after 5 s, as httpx does, and the
server too, a request may be sent into a connection that is just being closed."""
LAST_S = 5
"""So long after their grace requests are waited for, before they are cut off."""


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
      ConfigError: the address cannot be used.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # what is closed, but still unsent, is dropped too
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * SEND_S))
        found.bind(address)
        found.listen(BACKLOG)
    except (OSError, OverflowError, ValueError) as error:  # the last: a host that is no name
        raise ConfigError(
            f"cannot listen on {host}:{port} ({error}); name another --port, or end what uses this "
            "one"
        ) from None
    return found


def make_server(house: House, on_ready: Callable[[], None]) -> HttpServer:
    """Return a server that has loaded nothing yet and listens nowhere; `run(sockets=[...])` it.

    Args:
      house: what is served.
      on_ready: called once requests are taken.
    """
    app, service = make_app(house)
    config = uvicorn.Config(
        app,
        http="h11",  # the other one, httptools, reads headers without end
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=int(house.limits.grace_s) + LAST_S,
    )
    return HttpServer(config, service, on_ready)


class HttpServer(uvicorn.Server):
    """Lets searches come to an end before the process does."""

    def __init__(
        self, config: uvicorn.Config, service: Service, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self.service, self._on_ready = service, on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests from now on; called by the event loop."""
        await super().startup(sockets)
        self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order; a second Ctrl-C stops at once."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        self.service.stop()


def run_workers(command: Sequence[str], count: int, listening: socket.socket) -> None:
    """Run so many servers on one socket until a signal ends them; a killed one is started again.

    Args:
      command: starts a server, without the option that names its socket.
      count: how many.
      listening: the socket.
    Raises:
      BackendError: one failed by itself.
    """
    number = listening.fileno()
    start = [*command, "--socket", str(number)]
    workers: list[subprocess.Popen[bytes]] = []
    try:
        while True:
            for worker in [worker for worker in workers if worker.poll() is not None]:
                workers.remove(worker)
                forget_open(worker.pid)
                if worker.returncode > 0:  # it gave up by itself, and would again
                    raise BackendError("a worker has failed; what it said stands above")
            while len(workers) < count:
                workers.append(subprocess.Popen(start, pass_fds=[number]))
            time.sleep(0.2)
    except KeyboardInterrupt:  # how the command line reports signals
        pass
    finally:
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(signal.SIGTERM)
        listening.close()  # who comes now is refused at once: nobody would take the connection
        for worker in workers:
            worker.wait()
            forget_open(worker.pid)
        sys.stdout.flush()
