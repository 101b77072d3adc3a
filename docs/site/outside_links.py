"""Leads links that leave `docs/` to the page that includes the file, or to the repository.

Documents link to files beside `docs/`, so that they can be read where the repository is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.plugins import event_priority

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
REPOSITORY = "https://github.com/stepnav/stepnav/blob/main"
PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
}
"""File beside `docs/` -> the page that includes it."""


@event_priority(-100)  # after what includes other files
def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Return a page's text with links that the site can follow."""
    folder = (DOCS / page.file.src_uri).parent

    def lead(match: re.Match[str]) -> str:
        place = (folder / match[1]).resolve()
        if place.is_relative_to(DOCS) or not place.exists():
            return match[0]
        name = place.relative_to(ROOT).as_posix()
        return f"]({PAGES.get(name, f'{REPOSITORY}/{name}')}"

    return re.sub(r"\]\((?!https?:|#)([^)#\s]+)", lead, markdown)
