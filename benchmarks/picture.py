"""Makes the picture at the top of the README: a real search on the shipped models, as its page.

    python benchmarks/picture.py

Needs chromium. The problem is one that chain of thought gets wrong, and where HGS goes back once.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.view.browser import Browser

PICTURE = Path(__file__).resolve().parents[1] / "docs/images/tree.png"
SEARCH = ("solve", "--ids", "arithmetic-dev-0-114", "--strategy", "hgs:branching=4")
WIDTH = 860
"""Pixels, as wide as a README is shown; the picture has two for each, for sharp screens."""

NUM_COLORS = 64
"""Of the picture: few make a small file."""

WITHOUT_TOOLS = """
for (const part of document.querySelectorAll(".tools, .legend, dt:first-of-type, dd:first-of-type"))
  part.remove();
document.body.style.padding = "0 16px 8px";
"""
"""Nobody clicks on a picture, and the text below it names the strategy."""


def main() -> None:
    """Search, and write the picture of the page."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        command = [sys.executable, "-m", "stepnav", *SEARCH, "--page", str(page)]
        subprocess.run(command, check=True)
        browser = Browser(Path(folder) / "profile")
        try:
            browser.open(page, width=WIDTH, height=1)
            browser.run(WITHOUT_TOOLS)
            browser.shoot(PICTURE, scale=2)
        finally:
            browser.close()
    with Image.open(PICTURE) as picture:
        few = picture.convert("RGB").quantize(NUM_COLORS)
    few.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
