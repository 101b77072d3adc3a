"""Which proxy the environment names: one rule for all that is sent to model servers."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL; None for none.

    By the rule of the standard library, for httpx and aiohttp have one each: in NO_PROXY stand
    hosts, all names below them included, with or without a dot before or a port behind them. One
    with its scheme before it, as httpx reads it, is meant alone.
    """
    parts = urlsplit(url)
    named = getproxies()
    proxy = named.get(parts.scheme) or named.get("all")
    places = {parts.netloc, parts.hostname or ""}  # both: it does not see that [::1]:8000 is at ::1
    listed = {entry.strip() for entry in named.get("no", "").split(",")}
    is_listed = not listed.isdisjoint(f"{parts.scheme}://{place}" for place in places)
    if not proxy or is_listed or any(map(proxy_bypass, places)):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
