"""The site: it builds, links lead somewhere, pages can be found, and are fit to be looked at."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import stepnav
from tests.view.browser import Browser

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
MORE = ("quickstart", "servers", "results", "architecture", "api")
"""Pages looked at besides, by the slow tests."""


class Page(HTMLParser):
    """What a page links to, and what can be linked to.

    Attributes:
      links: all of it, or of its own text (`<article>`) in `own`.
      loaded: what it loads without being asked.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.own: set[str] = set()
        self.loaded: set[str] = set()
        self.ids: set[str] = set()
        self._depth = 0
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self._depth += tag == "article"
        self.ids.add(found.get("id", ""))
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
            if self._depth:
                self.own.add(found["href"])
        if tag in ("img", "script") and "src" in found:
            self.loaded.add(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.add(found["href"])

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == "article"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("mkdocs") is None or not importlib.util.find_spec("mkdocstrings"):
        pytest.skip("mkdocs is not installed (make docs installs it)")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def place(page: Path, link: str) -> tuple[Path, str]:
    parts = urlsplit(link)
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    return target / "index.html" if target.is_dir() else target, unquote(parts.fragment)


def test_every_link_leads_somewhere(pages: dict[Path, Page]) -> None:
    lost = []
    for path, page in pages.items():
        for link in page.links | page.loaded:
            if urlsplit(link).scheme or path.name == "404.html":
                continue
            target, anchor = place(path, link)
            is_there = target.exists() and (not anchor or anchor in pages[target].ids)
            lost += [] if is_there else [(path.name, link)]
    assert lost == []


def test_pages_load_nothing_from_elsewhere(pages: dict[Path, Page]) -> None:
    assert {link for page in pages.values() for link in page.loaded if "//" in link} == set()


def test_links_to_the_repository_are_of_files_that_it_has(pages: dict[Path, Page]) -> None:
    start = "https://github.com/stepnav/stepnav/blob/main/"
    links = {link for page in pages.values() for link in page.links if link.startswith(start)}
    assert links
    assert [link for link in links if not (ROOT / link.removeprefix(start)).exists()] == []


@pytest.mark.parametrize(
    ("wanted", "page", "says"),
    [
        ("search with the model that is served", "servers.html", "--policy http://localhost:8000"),
        ("train a PRM", "training.html", "stepnav train prm"),
        ("add a strategy", "own-strategy.html", "def careful"),
        ("what it costs", "cost.html", "--dry-run"),
        ("what the results are", "results.html", "p against nav"),
        ("the Python interface", "api.html", "stepnav.solve"),
    ],
)  # fmt: skip
def test_what_readers_want_is_two_clicks_away(
    site: Path, pages: dict[Path, Page], wanted: str, page: str, says: str
) -> None:
    first = site / "index.html"
    reached = {place(first, link)[0] for link in pages[first].own if not urlsplit(link).scheme}
    for found in list(reached):
        if found in pages:
            links = [link for link in pages[found].own if not urlsplit(link).scheme]
            reached |= {place(found, link)[0] for link in links}
    assert site / page in reached, wanted
    text = re.sub(r"<[^>]+>", "", (site / page).read_text())
    assert re.search(says, text), wanted


def test_public_names_are_in_the_reference() -> None:
    text = (DOCS / "api.md").read_text()
    documented = set(re.findall(r"^::: stepnav\.(?:search\.\w+\.)?(\w+)$", text, re.MULTILINE))
    assert set(stepnav.__all__) <= documented


def test_type_checkers_know_the_public_names() -> None:
    text = (ROOT / "src/stepnav/__init__.py").read_text()
    block = text[text.index("if TYPE_CHECKING") : text.index("_PLACES")]
    declared = set(re.findall(r"as (\w+)$|^    (\w+): Strategy$", block, re.MULTILINE))
    assert {one or other for one, other in declared} == set(stepnav.__all__)


def test_extras_are_in_the_quickstart() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"\[project.optional-dependencies\]\n(.*?)\n\n", project, re.DOTALL)
    assert block
    extras = set(re.findall(r"^(\w+) = \[", block[1], re.MULTILINE)) - {"dev", "docs"}
    table = (DOCS / "quickstart.md").read_text()
    assert extras == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_messages_of_troubleshooting_are_said_by_the_program() -> None:
    said = "".join(path.read_text() for path in (ROOT / "src/stepnav").rglob("*.py"))
    said = re.sub(r'"\s*f?"', "", said)  # a message goes on over lines
    text = (DOCS / "troubleshooting.md").read_text()
    tables = re.findall(r"^\| message \|.*?\n\n", text, re.MULTILINE | re.DOTALL)
    messages = [m for table in tables for m in re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)]
    assert len(messages) > 10
    assert [message for message in messages if message not in said] == []


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "page", ["index", "papers", *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)]
)
def test_pages_are_fit_to_be_looked_at(
    address: str,
    browser: Browser,
    page: str,
    width: int,
    dark: bool,
    request: pytest.FixtureRequest,
) -> None:
    browser.open(f"{address}/{page}.html", width=width, dark=dark)
    folder = request.config.getoption("--screenshots")
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        browser.shoot(folder / f"site-{page}-{width}-{'dark' if dark else 'light'}.png")
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run("document.body.dataset.mdColorScheme") == ("slate" if dark else "default")
    own = (address, "data:")
    assert [message for message in browser.messages if not message.startswith(own)] == []


@pytest.mark.browser
def test_the_search_finds_a_strategy(address: str, browser: Browser) -> None:
    browser.open(f"{address}/index.html")
    browser.run("document.querySelector('.md-search__input').focus()")
    for letter in "rebase":
        browser.press(letter)
    browser.wait("document.querySelectorAll('.md-search-result__item').length > 0")
    assert "REBASE" in browser.run("document.querySelector('.md-search-result__list').innerText")
