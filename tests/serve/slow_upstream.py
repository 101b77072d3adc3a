"""A model server that sends what it is told to, or never finishes; on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(content: bytes) -> bytes:
    """Return a piece of a body that is sent in chunks; an empty one ends it."""
    return b"%x\r\n%s\r\n" % (len(content), content)


class SlowUpstream:
    """Runs the server in a thread; a context manager.

    `hung_up` holds the times at which clients went away in the middle of a request.

    Args:
      pieces: sent to each client, with pauses of so many seconds, before it is hung up on; with
        none a request is never answered.
    """

    def __init__(self, pieces: Iterable[bytes | float] = ()) -> None:
        self._pieces = pieces

    def __enter__(self) -> SlowUpstream:
        self.num_asked = 0
        self.hung_up: list[float] = []
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def run() -> None:
            server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            self._end = asyncio.Event()
            ready.set()
            async with server:
                await self._end.wait()

        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[run()])
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        await reader.readexactly(length)
        self.num_asked += 1
        try:
            for piece in self._pieces:
                if isinstance(piece, float):
                    with contextlib.suppress(asyncio.TimeoutError):  # or the client hangs up
                        await asyncio.wait_for(reader.read(1), piece)
                else:
                    writer.write(piece)
                    await writer.drain()
            if not self._pieces:
                await reader.read()  # returns when the client hangs up
                self.hung_up.append(time.monotonic())
        except ConnectionError:
            self.hung_up.append(time.monotonic())
        writer.close()
