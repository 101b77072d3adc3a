"""What every page is: one HTML file that loads nothing, light or dark as the reader's system is.

Its content security policy allows the page's own scripts by their hashes and nothing else, so that
text of a model stays text even if its escaping were wrong.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files

from stepnav.view.clean import clean_line


def document(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """Return a whole page.

    Args:
      title: of the browser window, any text.
      body: HTML, everything foreign in it escaped.
      style: CSS besides that of all pages (`page.css`).
      script: what the page runs; empty runs nothing.
    """
    digest = b64encode(sha256(script.encode()).digest()).decode()
    allowed = f"script-src 'sha256-{digest}'" if script else "script-src 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; {allowed}\">\n"
        f"<title>{escape(clean_line(title))}</title>\n"
        f"<style>{asset(__package__, 'page.css')}{style}</style>\n</head>\n<body>\n"
        f"{body}{f'<script>{script}</script>' if script else ''}\n</body>\n</html>\n"
    )


def asset(package: str, name: str) -> str:
    """Return a style or script that lies in a package."""
    return (files(package) / name).read_text("utf-8")
