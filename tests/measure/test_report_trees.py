from __future__ import annotations

import random
import re
import zlib
from base64 import b64decode
from dataclasses import replace
from hashlib import sha512
from pathlib import Path

import pytest

from stepnav.core.outcome import SearchResult
from stepnav.core.records import Problem, Step, StepScore
from stepnav.core.tree import Tree
from stepnav.measure.report.problems import mark, problems_html
from stepnav.measure.report.trees import MAX_PAGE_BYTES, trees_page
from stepnav.measure.report.write import write_report
from stepnav.measure.rows import ResultRow
from stepnav.measure.summary import summarise
from tests.measure.rows_for_tests import PLAN, make_row
from tests.measure.test_report import FILES, RUN
from tests.view.trees import backtracking_tree, result_of


def result_for(row: ResultRow) -> SearchResult:
    place = {"search_id": row.search_id, "problem_id": row.problem_id}
    return result_of(backtracking_tree(), **place)


def test_a_report_with_results_has_a_page_of_all_trees(tmp_path: Path) -> None:
    write_report(tmp_path, RUN, PLAN, results=map(result_for, RUN))
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"trees.html"}
    report = (tmp_path / "report.html").read_text()
    assert 'href="trees.html#hgs/500/0/p3"' in report
    assert report.count('href="trees.html#p') == 20
    page = (tmp_path / "trees.html").read_text()
    packed = re.findall(r'<script type="text/plain">(.*?)</script>', page)
    assert len(packed) == 20
    for text in packed:
        inside = zlib.decompress(b64decode(text)).decode()
        assert len(re.findall(r'<details class="search" id="[^"]*/p\d+">', inside)) == 4


def test_the_list_of_problems_agrees_with_won_and_lost() -> None:
    rows = [replace(row, correct=None) if row.search_id == "hgs/250/0/p9" else row for row in RUN]
    (row,) = [r for r in summarise(rows, baseline="cot") if r.group == ("hgs", 250)]
    shares: dict[str, dict[str, float]] = {}
    for cells in re.findall(r"<tr><th>(p\d+)</th>(.*)</tr>", problems_html(rows)):
        found = re.findall(r"<td class=\"mark \w+\"(?: data-r=(\S+?))?>", cells[1])
        shares[cells[0]] = {name: float(r) for name, r in zip(("cot", "hgs"), found) if r}
    pairs = [(s["hgs"], s["cot"]) for s in shares.values() if len(s) == 2]
    assert row.comparison is not None
    assert sum(hgs > cot for hgs, cot in pairs) == row.comparison.won == 7
    assert sum(hgs < cot for hgs, cot in pairs) == row.comparison.lost == 0
    assert list(shares) == [f"p{n}" for n in range(20)], "p2 stands before p10"


@pytest.mark.parametrize(
    ("grades", "sign", "kind", "share"),
    [
        ([True], "✓", "good", 1.0), ([False], "✕", "bad", 0.0), ([None], "?", "faint", None),
        ([], "-", "faint", None), ([True, False, True], "2/3", "neutral", 2 / 3),
        ([True, None], "1/1", "good", 1.0), ([False, False], "0/2", "bad", 0.0),
    ],
)  # fmt: skip
def test_marks(grades: list[bool | None], sign: str, kind: str, share: float | None) -> None:
    assert mark([make_row(correct=grade) for grade in grades]) == (sign, kind, share)


def test_a_page_that_would_be_too_large_leaves_out_the_largest_trees() -> None:
    results = [result_for(row) for row in RUN]
    big = "".join(chr(ord("a") + n * n % 23) for n in range(200_000))
    results[4].tree.add(results[4].tree.root, Step(sha512(big.encode()).hexdigest() * 999 + big))
    whole = trees_page(results, RUN, title="t", back="report.html")
    limit = len(whole.encode()) - 1
    page = trees_page(results, RUN, title="t", back="report.html", max_bytes=limit)
    assert len(page.encode()) <= limit
    assert "1 of 20 are without theirs" in page
    (left_out,) = re.findall(r'<details class="problem" id="(\w+)">.*stepnav show RUN', page)
    assert left_out == "p4"
    assert "left out" not in whole.partition("</style>")[2].partition("<script>")[0]


def test_a_run_of_300_problems_and_6_strategies_stays_below_20_mb() -> None:
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randint(2, 9))) for _ in range(3000)]

    def grow(problem_id: str, samples: int) -> Tree:
        """Return a tree without shared steps, of words that compress worse than prose."""
        tree = Tree(Problem(problem_id, " ".join(draw.choices(words, k=40)), "12"))
        for _ in range(samples):
            node = tree.root
            for index in range(8):
                wrong = draw.random()
                step = Step(" ".join(draw.choices(words, k=14)), "end" if index == 7 else "step")
                node = tree.add(node, step, StepScore(wrong, 0.0, 1 - wrong))
        return tree

    samples = {"cot": 1, "self_consistency": 16, "best_of_n": 16, "weighted_vote": 16, "beam": 16}
    rows = [
        make_row(label, None, problem_id=f"p{index}")
        for label in [*samples, "hgs"]
        for index in range(5)
    ]
    results = [
        result_of(
            grow(row.problem_id, samples.get(row.label, 3)),
            search_id=row.search_id, problem_id=row.problem_id, options={"aggregation": "prod"},
        )
        for row in rows
    ]  # fmt: skip
    page = trees_page(results, rows, title="t", back="report.html")
    assert page.count("text/plain") == 5
    assert len(page.encode()) * 300 / 5 < MAX_PAGE_BYTES
