"""What a server sends, read within bounds, so that it cannot fill the memory or end the run.

Plain bodies are asked for. One that is compressed all the same is unpacked here, and never beyond
the bound: a small one can hold a thousand times its size.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from stepnav.core.errors import BadResponse, quote

if TYPE_CHECKING:
    import httpx

CONTEXT_FIELDS = ("max_model_len", "context_length", "context_window", "max_context_length")
"""What servers call the context length (prompt and answer together) in their list of models."""

MOST_TOKENS = 10**9
"""A larger count is none."""

PROVIDER = "openai"
"""Of all errors: the protocol that these servers speak."""

MAX_BODY_BYTES = 16 * 2**20
"""Of an answer. Sixteen samples of 4,096 tokens with their log-probabilities are half of that."""

MAX_ERROR_BYTES = 64 * 2**10
"""Of an error, of which only the beginning is read."""

_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON text may hold half of a surrogate pair."""


async def read_body(response: httpx.Response, hidden: str | None) -> str:
    """Return a response's text; of an error only the beginning.

    Args:
      response: opened as a stream.
      hidden: the API key, which is blotted out should the server repeat it.
    Raises:
      BadResponse: it is too long, or compressed in a way that is not known.
    """
    is_error = response.status_code != 200
    bound = MAX_ERROR_BYTES if is_error else MAX_BODY_BYTES
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise _bad(response, f"it is compressed by {quote(encoding)}, which was not asked for")
    unpack = None if encoding in ("identity", "") else zlib.decompressobj(zlib.MAX_WBITS | 32)
    content = bytearray()
    stream = cast("httpx.AsyncByteStream", response.stream)  # as it came, not unpacked by httpx
    async for piece in stream:
        left = bound + 1 - len(content)
        try:
            content += unpack.decompress(piece, left) if unpack else piece[:left]
        except zlib.error as error:
            raise _bad(response, f"it cannot be unpacked: {error}") from None
        if len(content) > bound:
            if is_error:
                break
            raise _bad(response, f"it is longer than {bound // 2**20} MiB")
    if unpack is not None and not unpack.eof and not is_error:
        raise _bad(response, "its compressed data are cut off")
    text = content.decode("utf-8-sig", "replace")
    return text.replace(hidden, "***") if hidden else text


def load_json(text: str) -> Any:
    """Return what JSON text says, without halves of surrogate pairs, which nothing can encode.

    Raises:
      ValueError: it is not JSON, or nested too deeply.
    """
    try:
        value = json.loads(text)
        if _HALF_PAIR.search(text):
            whole = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
            value = json.loads(whole.decode("utf-16", "replace"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def as_text(value: Any) -> str:
    """Return foreign JSON as text, for messages."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__} that is nested too deeply"


def _bad(response: httpx.Response, why: str) -> BadResponse:
    status = response.status_code
    return BadResponse(
        f"cannot use the server's answer (HTTP {status}): {why}",
        provider=PROVIDER,
        status_code=status,
    )


def parse_models(payload: Any) -> dict[str, int | None]:
    """Return the models that a server lists, and how many tokens the context of each holds.

    What cannot be read is left out; names that cannot be printed are no names.
    """
    listed = payload.get("data") if isinstance(payload, Mapping) else None
    found: dict[str, int | None] = {}
    for model in listed if isinstance(listed, list) else []:
        name = model.get("id") if isinstance(model, Mapping) else None
        if isinstance(name, str) and name.isprintable():
            counts = (count_of(model.get(field)) for field in CONTEXT_FIELDS)
            found[name] = next((count for count in counts if count), None)
    return found


def count_of(value: Any) -> int | None:
    """Return a count of tokens, None if the value is none."""
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return value if is_count and 0 <= value <= MOST_TOKENS else None


def in_order(items: Iterable[Any]) -> list[Any]:
    """Return the parts of an answer by their `index`, as they come where not all have one."""
    found = list(items)
    if all(isinstance(item, Mapping) and isinstance(item.get("index"), int) for item in found):
        found.sort(key=lambda item: item["index"])
    return found
