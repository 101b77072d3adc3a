"""Which proxy the environment names: one rule for all that is sent to model servers."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL; None for none.

    By the rule of the standard library, for httpx and aiohttp have one each: in NO_PROXY stand
    hosts, all names below them included, with or without a dot before or a port behind them.
    """
    parts = urlsplit(url)
    named = getproxies()
    proxy = named.get(parts.scheme) or named.get("all")
    # both: it does not see that [::1]:8000 is at ::1
    if not proxy or proxy_bypass(parts.netloc) or proxy_bypass(parts.hostname or ""):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
