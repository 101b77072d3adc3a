from __future__ import annotations

import html.parser

from stepnav.core.records import Problem, Step
from stepnav.core.tree import Tree
from stepnav.view.page import render_page
from tests.view.trees import GOOD, backtracking_tree, result_of


class Reader(html.parser.HTMLParser):
    """Collects text and tags; fails on unbalanced ones."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        assert self.stack == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] not in {"style", "script"} and data.strip():
            self.text.append(data.strip())


def test_the_page_shows_the_tree_nested() -> None:
    page = render_page(backtracking_tree(), result=result_of(backtracking_tree()), is_correct=True)
    reader = Reader(page)
    folds = [attrs for tag, attrs in reader.tags if tag == "details"]
    assert [attrs["class"] for attrs in folds] == ["chosen", "chosen", "dead"]
    assert ["open" in attrs for attrs in folds] == [True, True, False]
    leaves = [attrs["class"] for tag, attrs in reader.tags if tag == "div"]
    assert leaves == ["tree", "leaf chosen", "leaf dead"]
    for words in ("3 * 4 - 2 = 10.", "+ 98%", "10  right".replace("  ", " "), "hgs (children=8)"):
        assert words in reader.text, words


def test_the_page_loads_nothing() -> None:
    page = render_page(backtracking_tree())
    assert "default-src 'none'" in page
    for tag, attrs in Reader(page).tags:
        assert not {"src", "href", "srcset"} & set(attrs)
        assert tag not in {"link", "img", "iframe", "object", "base"}
    assert "http:" not in page
    assert "https:" not in page
    assert "url(" not in page


def test_text_from_a_model_cannot_become_code() -> None:
    attack = "</span></details><script>alert(1)</script><img src=x onerror='a()'>\" \x1b[31m\u202e"
    tree = Tree(Problem("p", attack, attack))
    node = tree.add(tree.root, Step(attack), GOOD)
    tree.add(node, Step(attack, "end"), GOOD)
    result = result_of(
        tree, answer=attack, votes={attack: 1.0}, error=attack, options={attack: attack}
    )
    page = render_page(tree, result=result, is_correct=False, title=attack)
    reader = Reader(page)
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert not any("onerror" in attrs for _, attrs in reader.tags)
    assert "img" not in [tag for tag, _ in reader.tags]
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert any("<script>alert(1)</script>" in text for text in reader.text)


def test_steps_of_code_keep_their_lines() -> None:
    tree = Tree(Problem("p", "write f"))
    tree.add(tree.root, Step("def f():\n\treturn 1\n"))
    assert '<span class="step">def f():\n\treturn 1</span>' in render_page(tree)


def test_an_empty_tree_and_a_deep_one() -> None:
    tree = Tree(Problem("p", "?"))
    Reader(render_page(tree))
    node = tree.root
    for index in range(2000):
        node = tree.add(node, Step(f"{index}\n"), GOOD)
    Reader(render_page(tree))


def test_the_page_is_small() -> None:
    assert len(render_page(Tree(Problem("p", "?")))) < 5000
