"""Messages between the trusted parent and a warm parent: a type byte, a length, the content.

Both sides send and receive in one poll loop, so that neither waits for the other to read, and their
clocks run meanwhile. Loaded on both sides; imports only the standard library.
"""

from __future__ import annotations

import os
import select
import struct

HEADER = struct.Struct("<cI")
CHUNK = 2**16


class ClosedError(Exception):
    """The other side is gone."""


class Pipes:
    """Two descriptors, read and written without waiting.

    Args:
      source, sink: where messages come from and go to.
    """

    def __init__(self, source: int, sink: int) -> None:
        for descriptor in (source, sink):
            os.set_blocking(descriptor, False)
        self._source, self._sink = source, sink
        self._arrived = bytearray()
        self._leaving = bytearray()

    @property
    def num_leaving(self) -> int:
        """Bytes that were put and not yet written."""
        return len(self._leaving)

    def put(self, kind: bytes, payload: bytes) -> None:
        """Send a message: what of it cannot be written now is, in later exchanges.

        Raises:
          ClosedError: the other side is gone.
        """
        self._leaving += HEADER.pack(kind, len(payload))
        self._leaving += payload
        self._write()

    def take(self) -> tuple[bytes, bytes] | None:
        """Return the next message that has arrived whole, and remove it."""
        if len(self._arrived) < HEADER.size:
            return None
        kind, size = HEADER.unpack_from(self._arrived)
        end = HEADER.size + size
        if len(self._arrived) < end:
            return None
        payload = bytes(memoryview(self._arrived)[HEADER.size : end])
        del self._arrived[:end]
        return kind, payload

    def exchange(self, timeout_s: float | None, watched: dict[int, int]) -> dict[int, int]:
        """Send and receive until one of them gets on, or a watched descriptor is ready.

        Args:
          timeout_s: seconds after which to return in any case; None for never.
          watched: events to wait for, by descriptor, as in `select.poll`.

        Returns:
          What is ready, by descriptor.

        Raises:
          ClosedError: the other side is gone.
        """
        poller = select.poll()
        poller.register(self._source, select.POLLIN)
        if self._leaving:
            poller.register(self._sink, select.POLLOUT)
        for descriptor, events in watched.items():
            poller.register(descriptor, events)
        ready = dict(poller.poll(None if timeout_s is None else max(0.0, timeout_s) * 1000))
        if self._sink in ready:
            self._write()
        if self._source in ready:
            self._read()
        return ready

    def _write(self) -> None:
        try:
            while self._leaving:
                with memoryview(self._leaving) as view:
                    written = os.write(self._sink, view)
                del self._leaving[:written]
        except BlockingIOError:
            return
        except OSError:
            raise ClosedError from None

    def _read(self) -> None:
        try:
            data = os.read(self._source, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            raise ClosedError from None
        if not data:
            raise ClosedError
        self._arrived += data
