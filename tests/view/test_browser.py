"""The pages in a real browser. `--screenshots FOLDER` keeps the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem, Step
from stepnav.core.tree import Tree
from stepnav.measure.report.write import write_report
from stepnav.measure.rows import ResultRow
from stepnav.view.page import render_page
from tests.measure.rows_for_tests import PLAN, make_run
from tests.view.browser import Browser
from tests.view.test_page import ATTACK
from tests.view.trees import GOOD, backtracking_tree, code_tree, result_of

pytestmark = pytest.mark.browser

SEEN = "(selector => [...document.querySelectorAll(selector)].filter(x => x.checkVisibility())"
NUMBERS = f"{SEEN}.map(x => x.dataset.n))('.line')"
ROWS = make_run({("cot", 250): 8, ("hgs", 250): 16})
ROWS[3] = replace(ROWS[3], correct=False)


def result_for(row: ResultRow) -> SearchResult:
    tree = hostile_tree() if row.problem_id == "p1" else backtracking_tree()
    return result_of(tree, search_id=row.search_id, problem_id=row.problem_id)


def hostile_tree() -> Tree:
    tree = Tree(Problem("p1", ATTACK, ATTACK))
    tree.add(tree.root, Step(ATTACK, "end"), GOOD)
    return tree


def deep_tree() -> Tree:
    tree = Tree(Problem("p", "x" * 300))
    node = tree.root
    for _ in range(30):
        tree.add(node, Step("a" * 200, "length"))
        node = tree.add(node, Step("long words " * 20), GOOD)
    return tree


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_report(folder, ROWS, PLAN, results=map(result_for, ROWS))
    scored = {"options": {"aggregation": "prod", "samples": 4}}
    trees = {"tree": backtracking_tree(), "code": code_tree(), "deep": deep_tree()}
    for name, tree in trees.items():
        page = render_page(tree, result=result_of(tree, **scored), is_correct=name == "tree")
        (folder / f"{name}.html").write_text(page)
    return folder


@pytest.fixture
def screenshots(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = request.config.getoption("--screenshots") or tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    return Path(folder)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    ("name", "anchor"),
    [
        ("tree", ""), ("code", ""), ("deep", ""), ("report", ""), ("trees", "#hgs/250/0/p8"),
        ("trees", "#p1"),
    ],
)  # fmt: skip
def test_pages_fit_and_are_quiet(
    browser: Browser, pages: Path, screenshots: Path, name: str, anchor: str, width: int, dark: bool
) -> None:
    browser.open(pages / f"{name}.html", width=width, dark=dark, anchor=anchor)
    browser.wait("!location.hash || document.querySelector('.view') !== null")
    shade = browser.run("getComputedStyle(document.body).backgroundColor")
    assert shade == ("rgb(23, 25, 28)" if dark else "rgb(255, 255, 255)")
    assert browser.run("document.documentElement.scrollWidth") <= width
    shown = "hostile" if anchor == "#p1" else name
    place = screenshots / f"{shown}-{width}-{'dark' if dark else 'light'}.png"
    browser.shoot(place)
    assert place.stat().st_size > 5000
    assert browser.messages == []


def test_a_search_is_replayed(browser: Browser, pages: Path) -> None:
    browser.open(pages / "tree.html")
    assert sorted(browser.run(NUMBERS)) == ["1", "2", "4", "5"], "below what was given up is folded"
    seen = []
    for count in range(6):
        browser.run(
            "(slider => { slider.value = " + str(count) + "; slider.dispatchEvent(new Event("
            "'input', {bubbles: true})) })(document.querySelector('[type=range]'))"
        )
        seen.append(sorted(browser.run(NUMBERS)))
    assert seen == [[], ["1"], ["1", "2"], *(sorted("12345"[:n]) for n in (3, 4, 5))]
    assert browser.run("document.querySelector('output').value") == "5 of 5"
    browser.run("document.querySelector('[data-act=play]').click()")
    assert browser.run("document.querySelector('output').value") == "0 of 5"
    browser.wait("document.querySelector('output').value === '5 of 5'")
    browser.wait("document.querySelector('[data-act=play]').ariaPressed === 'false'")


def test_steps_are_searched_and_folded_by_keys(browser: Browser, pages: Path) -> None:
    browser.open(pages / "tree.html")
    for key in "/apples":
        browser.press(key)
    assert browser.run("document.querySelector('.found').textContent") == "2 found"
    browser.press("Enter")
    browser.press("Enter")
    assert browser.run("document.querySelector('.wanted').dataset.n") == "2"
    assert browser.run("document.querySelector('.found').textContent") == "2 of 2"
    browser.press("Escape")
    assert browser.run("document.querySelectorAll('.hit, .wanted').length") == 0
    focus = "document.activeElement.dataset.n"
    browser.run("document.querySelector('.line').focus()")
    found = []
    for key in ("ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowDown", "ArrowRight", "End", "Home"):
        browser.press(key)
        found.append((browser.run(focus), len(browser.run(NUMBERS))))
    assert found == [("4", 4), ("1", 4), ("1", 2), ("2", 2), ("2", 3), ("3", 3), ("1", 3)]


def test_what_was_rejected_can_be_hidden(browser: Browser, pages: Path) -> None:
    browser.open(pages / "tree.html")
    browser.run("document.querySelector('[data-act=open]').click()")
    assert len(browser.run(NUMBERS)) == 5
    browser.run("document.querySelector('[data-act=dead]').click()")
    assert browser.run(NUMBERS) == ["1", "4", "5"]
    browser.run("document.querySelector('[data-act=dead]').click()")
    browser.run("document.querySelector('[data-act=path]').click()")
    assert browser.run(NUMBERS) == ["1", "4", "5", "2"]


def test_programs_are_read_in_one_column(browser: Browser, pages: Path) -> None:
    for width in (1280, 390):
        browser.open(pages / "code.html", width=width)
        lefts = (
            "[...document.querySelectorAll('.step')].map(x => "
            "Math.round(x.getBoundingClientRect().left))"
        )
        assert len(set(browser.run(lefts))) == 1, "however deep in the tree"
        font = browser.run("getComputedStyle(document.querySelector('.step')).fontFamily")
        assert "monospace" in font


def test_two_strategies_are_compared(browser: Browser, pages: Path) -> None:
    browser.open(pages / "report.html")
    shown = f"{SEEN}.map(x => x.cells[0].textContent))('.problems tbody tr')"
    assert len(browser.run(shown)) == 20
    said = "document.getElementById('compared').textContent"
    buttons = "document.querySelectorAll('.problems button')"
    browser.run(f"{buttons}[1].click()")
    assert browser.run(said) == "hgs at 250: now click the strategy to compare it with."
    browser.run(f"{buttons}[0].click()")
    won, lost = [f"p{n}" for n in (3, *range(8, 16))], []
    assert browser.run(said) == (
        f"hgs at 250 won {len(won)} against cot at 250 (shown first) and lost {len(lost)}."
    )
    assert browser.run(shown) == won
    browser.run(f"{buttons}[0].click()")
    assert len(browser.run(shown)) == 20, "a second click ends the comparison"


def test_trees_are_unpacked_when_they_are_opened(browser: Browser, pages: Path) -> None:
    browser.open(pages / "report.html")
    assert browser.run("document.querySelectorAll('.problems tbody a').length") == 60
    address = browser.run("document.querySelectorAll('.problems tbody tr')[8].cells[2]"
                          ".firstChild.getAttribute('href')")  # fmt: skip
    assert address == "trees.html#hgs/250/0/p8"
    browser.open(pages / "trees.html")
    count = "document.querySelectorAll('.line').length"
    assert browser.run(count) == 0
    browser.open(pages / "trees.html", anchor="#hgs/250/0/p8")
    browser.wait("document.querySelector('.search[open]') !== null")
    assert browser.run(count) == 10, "the trees of one problem, both strategies"
    assert browser.run("[...document.querySelectorAll('.search[open]')].map(x => x.id)") == [
        "hgs/250/0/p8"
    ]
    assert len(browser.run(NUMBERS)) == 4
    browser.run("document.querySelector('.problem').open = true")
    browser.wait(f"{count} === 20")


def test_text_from_a_model_runs_nowhere(browser: Browser, pages: Path) -> None:
    browser.open(pages / "trees.html", anchor="#cot/250/0/p1")
    browser.wait("document.querySelector('.search[open]') !== null")
    assert "<script>alert(1)</script>" in browser.run("document.body.textContent")
    assert browser.run("document.querySelectorAll('.body img, .body script').length") == 0
    browser.run(
        "document.body.insertAdjacentHTML('beforeend', '<img src=data:, onerror=\"hacked = 1\">')"
    )
    browser.run("new Promise(done => setTimeout(done, 100))")
    assert browser.run("typeof hacked") == "undefined", "the policy stops what escaping let through"
