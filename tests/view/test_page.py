from __future__ import annotations

import html.parser
import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from stepnav.core.records import Problem, Step, StepScore
from stepnav.core.tree import Tree
from stepnav.view.page import MAX_INDENTED, render_page
from tests.view.trees import BAD, GOOD, backtracking_tree, code_tree, result_of

VOID = {"meta", "input"}
ATTACK = (
    "</span></summary></details></script><script>alert(1)</script><!--<script>"
    "<img src=x onerror='a()'>\"' onclick=alert(2) \x1b[31m\u202e &lt;b&gt; $\\frac{<i>}{2}$"
)


class Reader(html.parser.HTMLParser):
    """Collects text and tags; fails on unbalanced ones."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.depth = 0
        self.feed(page)
        assert self.stack == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
            self.depth = max(self.depth, len(self.stack))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] not in {"style", "script"} and data.strip():
            self.text.append(data.strip())

    def having(self, kind: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of a class."""
        return [attrs for _, attrs in self.tags if kind in (attrs.get("class") or "").split()]


def read(tree: Tree, **arguments: Any) -> Reader:
    return Reader(render_page(tree, **arguments))


def test_the_page_shows_the_tree_nested() -> None:
    tree = backtracking_tree()
    reader = read(tree, result=result_of(tree), is_correct=True)
    lines = [(attrs["class"], attrs["data-n"]) for attrs in reader.having("line")]
    assert lines == [
        ("line chosen r0", "1"), ("line chosen r1", "4"), ("line chosen r1", "5"),
        ("line dead r1", "2"), ("line dead r-1", "3"),
    ]  # fmt: skip
    folds = [attrs for tag, attrs in reader.tags if tag == "details"]
    assert ["open" in attrs for attrs in folds] == [True, False], "what was given up is folded"
    for words in ("3 * 4 - 2 = 10.", "+ 98%", "hgs (children=8)", "rejected, ×3"):  # noqa: RUF001
        assert words in reader.text, words
    text = " ".join(reader.text)
    assert text.index("- wrong") < text.index("Tom likes apples."), "the legend is on top"


@pytest.mark.parametrize(("is_correct", "kind"), [(True, "good"), (False, "bad"), (None, None)])
def test_right_and_wrong_are_told_apart(is_correct: bool | None, kind: str | None) -> None:
    tree = backtracking_tree()
    reader = read(tree, result=result_of(tree), is_correct=is_correct)
    assert [attrs["class"] for attrs in reader.having("badge")] == ([f"badge {kind}"] * bool(kind))
    assert ("Right is" in reader.text) == (is_correct is False)


def test_a_chain_stays_at_one_depth_and_forks_indent_up_to_a_limit() -> None:
    tree = Tree(Problem("p", "?"))
    node = tree.root
    for _ in range(2 * MAX_INDENTED):
        node = tree.add(tree.add(node, Step("go on\n"), GOOD), Step("fork\n"), GOOD)
        tree.add(node, Step("dead end"), BAD)
    reader = read(tree)
    forks = reader.having("fork")
    assert len(forks) == 2 * MAX_INDENTED - 1
    assert len(reader.having("deep")) == len(forks) - MAX_INDENTED
    chain = Tree(Problem("p", "?"))
    node = chain.root
    for index in range(2000):
        node = chain.add(node, Step(f"{index}\n"), GOOD)
    assert read(chain).depth < 10
    assert read(Tree(Problem("p", "?"))).having("line") == []


@pytest.mark.parametrize(
    ("aggregation", "shown"),
    [("prod", ["score 0.693", "score 0.021"]), ("min", ["score 0.700", "score 0.030"]), (None, [])],
)
def test_the_score_by_which_solutions_were_ranked(aggregation: str | None, shown: Any) -> None:
    tree = Tree(Problem("p", "?"))
    first = tree.add(tree.root, Step("A\n"), StepScore(0.3, 0.0, 0.7))
    for text, score in [("#### 1", GOOD), ("#### 2", BAD), ("#### 3", None)]:
        tree.add(first, Step(text, "end"), score)
    options = {} if aggregation is None else {"aggregation": aggregation}
    reader = read(tree, result=result_of(tree, options=options))
    assert re.findall(r"score \d\.\d+", " ".join(reader.text)) == shown
    first.value = 0.25
    assert "score 0.250" in read(tree).text


def test_the_page_loads_nothing_and_runs_nothing_but_its_own() -> None:
    page = render_page(backtracking_tree())
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert "default-src 'none'; base-uri 'none'; form-action 'none'" in page
    assert f"script-src 'sha256-{digest}'" in page
    for tag, attrs in Reader(page).tags:
        assert not {"src", "href", "srcset"} & set(attrs)
        assert tag not in {"link", "img", "iframe", "object", "base"}
    for address in ("http:", "https:", "url(", "@import"):
        assert address not in page


def test_text_from_a_model_cannot_become_code() -> None:
    tree = Tree(Problem("p", ATTACK, ATTACK))
    node = tree.add(tree.root, Step(ATTACK), GOOD)
    tree.add(node, Step(ATTACK, "end"), GOOD)
    tree.add(tree.root, Step("    return 1 " + ATTACK), GOOD)
    result = result_of(
        tree, answer=ATTACK, votes={ATTACK: 1.0}, error=ATTACK, options={ATTACK: ATTACK}
    )
    page = render_page(tree, result=result, is_correct=False, title=ATTACK)
    reader = Reader(page)
    assert [tag for tag, _ in reader.tags].count("script") == 1
    for tag, attrs in reader.tags:
        assert tag not in {"img", "i"}
        assert not any(name.startswith("on") for name in attrs)
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert any("<script>alert(1)</script>" in text for text in reader.text)


def test_formulas_are_written_out_and_kept_in_the_tooltip() -> None:
    tree = Tree(Problem("p", r"What is $\frac{1}{2}+x^2$?"))
    tree.add(tree.root, Step(r"It is \(\sqrt{2}\)."))
    reader = read(tree, result=result_of(tree, answer=r"\frac{\pi}{2}"))
    assert {"What is 1/2+x²?", "It is √2.", "π/2"} <= set(reader.text)
    assert reader.having("step")[0]["title"] == r"It is \(\sqrt{2}\)."


def test_programs_keep_indentation_and_lines() -> None:
    tree = code_tree()
    page = render_page(tree, result=result_of(tree, answer="def f(x):\n\n    return x + 1\n"))
    assert '<span class="step">    return x + 1</span>' in page
    assert "<pre>def f(x):\n\n    return x + 1</pre>" in page
    reader = Reader(page)
    (box,) = reader.having("tree")
    assert box["class"] == "tree code"
    assert reader.having("question")[0]["class"] == "question code"
    plain = Tree(Problem("p", "write f"))
    plain.add(plain.root, Step("def f():\n\treturn 1\n"))
    assert '<span class="step">def f():\n    return 1</span>' in render_page(plain)
    assert "code" not in (read(backtracking_tree()).having("tree")[0]["class"] or "")
