from __future__ import annotations

import html.parser
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stepnav.core.errors import ConfigError
from stepnav.measure import extras
from stepnav.measure.extras import check_installed
from stepnav.measure.plots import accuracy_curves, plot_accuracy
from stepnav.measure.report.pages import notes
from stepnav.measure.report.tables import (
    accuracy_table,
    amount,
    engineering,
    p_text,
    percent,
    report_tables,
)
from stepnav.measure.report.terminal import rich_table
from stepnav.measure.report.text_table import html_table, markdown_table
from stepnav.measure.report.write import report_object, write_report
from stepnav.measure.right import read_pairs
from stepnav.measure.summary import summarise
from tests.measure.rows_for_tests import PLAN, make_row, make_run

OPTIONS = PLAN.strategies[1].options
RUN = make_run(
    {("cot", 250): 8, ("hgs", 250): 16, ("cot", 500): 8, ("hgs", 500): 20}, options=OPTIONS
)
SUMMARY = summarise(RUN, baseline="cot")
FILES = {
    "report.json", "report.md", "report.html", "results.parquet",
    "accuracy_vs_cost.png", "accuracy_vs_cost.svg",
}  # fmt: skip


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write_report(folder, RUN, PLAN, wall_s={("hgs", 250): 12.5})
    return folder


def test_all_files_and_nothing_else(run_folder: Path) -> None:
    assert {path.name for path in run_folder.iterdir()} == FILES


def test_the_object_has_the_promised_keys(run_folder: Path) -> None:
    report = json.loads((run_folder / "report.json").read_text())
    assert list(report) == ["config", "task", "split", "problems", "seeds", "rows", "incomplete"]
    assert report["incomplete"] == []
    assert (report["task"], report["split"], report["problems"], report["seeds"]) == (
        "arithmetic", "test", 20, 1,
    )  # fmt: skip
    promised = {
        "strategy", "budget", "accuracy", "ci95", "correct", "total", "policy_tokens_per_problem",
        "reward_tokens_per_problem", "wall_s", "p_vs_baseline",
    }  # fmt: skip
    assert all(promised <= set(row) for row in report["rows"])
    cot, hgs, *_ = report["rows"]
    assert (cot["strategy"], cot["budget"], cot["accuracy"]) == ("cot", 250, 0.4)
    assert (cot["correct"], cot["total"], cot["p_vs_baseline"]) == (8, 20, None)
    assert cot["wall_s"] is None
    assert hgs["p_vs_baseline"] == 2 / 2**8
    assert hgs["wall_s"] == 12.5
    assert hgs["ci95"][0] < hgs["accuracy"] < hgs["ci95"][1]
    assert hgs["difference"] == pytest.approx(0.4)
    assert hgs["baseline"] == {"label": "cot", "budget": 250}
    assert hgs["options"] == OPTIONS
    assert (hgs["won"], hgs["lost"], hgs["backtracks"]) == (8, 0, 40)


def test_an_empty_run_has_an_object_and_files(tmp_path: Path) -> None:
    report = write_report(tmp_path, [], replace(PLAN, problems=None))
    assert report["rows"] == []
    assert report["problems"] == 0
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_nothing_graded_is_null(tmp_path: Path) -> None:
    report = write_report(tmp_path, [make_row(correct=None)], PLAN)
    (row,) = report["rows"]
    assert (row["accuracy"], row["ci95"], row["total"], row["ungraded"]) == (None, None, 0, 1)
    assert row["accuracy_bounds"] == [0.0, 1.0]
    assert "NaN" not in (tmp_path / "report.json").read_text()


def test_the_parquet_file_holds_every_search(run_folder: Path) -> None:
    from pyarrow import parquet

    table = parquet.read_table(run_folder / "results.parquet")
    assert table.num_rows == len(RUN)
    records = table.to_pylist()
    assert records[0]["correct"] is True
    assert records[0]["backtracks"] is None
    assert json.loads(records[20]["options"]) == OPTIONS
    assert str(table.schema.field("correct").type) == "bool"
    assert str(table.schema.field("flops").type) == "double"


def test_a_folder_whose_name_is_no_utf8_gets_its_report(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"run-\xe4")
    write_report(folder, [make_row("nav", right_prob=0.7)], PLAN)
    assert (folder / "results.parquet").exists()
    assert read_pairs(folder, "nav")[1].tolist() == [0.7]


def test_reports_are_the_same_every_time(run_folder: Path, tmp_path: Path) -> None:
    write_report(tmp_path, RUN, PLAN, wall_s={("hgs", 250): 12.5})
    for name in FILES - {"results.parquet"}:
        assert (tmp_path / name).read_bytes() == (run_folder / name).read_bytes(), name


def test_markdown_names_what_was_measured(run_folder: Path) -> None:
    text = (run_folder / "report.md").read_text()
    assert "baseline cot" in text
    assert "children=8" in text
    assert r"note=a\|b \<i\>" in text, "options cannot break the table"
    assert "McNemar's exact test" in text
    assert "corrected for the 2 comparisons" in text
    assert "![Accuracy against tokens, FLOPs and seconds per search](accuracy_vs_cost.png)" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert "| hgs | 250 | 80.0% |" in "\n".join(tables)


class Checker(html.parser.HTMLParser):
    """Finds unbalanced tags and anything that would be loaded."""

    VOID = frozenset({"meta", "br", "path", "use"})

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            is_own = (value or "").startswith(("#", "trees.html"))
            if name in {"src", "href", "xlink:href"} and not is_own:
                self.loaded.append(str(value))
        if tag in {"link", "iframe", "img"}:
            self.loaded.append(tag)
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.stack.pop() == tag


def test_the_page_is_whole_and_loads_nothing(run_folder: Path) -> None:
    text = (run_folder / "report.html").read_text()
    checker = Checker()
    checker.feed(text)
    assert checker.stack == []
    assert checker.loaded == []
    assert "<svg" in text
    assert "a|b &lt;i&gt;" in text
    assert "<i>" not in text
    assert "prefers-color-scheme: dark" in text


def test_the_plot_is_an_image_and_readable_text(run_folder: Path) -> None:
    png = (run_folder / "accuracy_vs_cost.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    svg = (run_folder / "accuracy_vs_cost.svg").read_text()
    ElementTree.fromstring(svg)
    for words in ("policy tokens per search (mean, log scale)", "cot", "hgs", "arithmetic (test)"):
        assert words in svg
    assert "FLOPs per search, both models (mean" in svg
    assert "seconds of the machine" in svg


def test_costs_are_panels_of_their_own_and_levels_lines_across_them() -> None:
    rows = [make_row("hgs", 250, problem_id=f"p{i}", flops=2e9, correct=i < 3) for i in range(4)]
    summary = summarise(rows, baseline=None, wall_s={("hgs", 250): 10.0})
    assert accuracy_curves(summary, "flops")["hgs"][0].cost == 2e9
    assert accuracy_curves(summary, "seconds")["hgs"][0].cost == 2.5
    _, svg = plot_accuracy(summary, title="t", levels={"backbone": 0.96})
    for words in ("policy tokens per search", "FLOPs per search", "seconds of the machine per"):
        assert words in svg
    assert "backbone" in svg
    assert "backbone" not in plot_accuracy(summary, title="t")[1]


def ticks(svg: str) -> list[str]:
    """Return the texts at the axes."""
    return re.findall(r"<g id=.[xy]tick_.*?>([^<>]+)</text>", svg, re.DOTALL)


def test_costs_that_are_near_each_other_have_ticks_that_can_be_read() -> None:
    rows = [make_row("a", None, policy_tokens=640), make_row("b", None, policy_tokens=700)]
    wall_s = {("a", None): 0.38, ("b", None): 0.52}
    _, svg = plot_accuracy(summarise(rows, baseline=None, wall_s=wall_s), title="t")
    costs = [text for text in ticks(svg) if not text.endswith("%")]
    assert costs == ["500", "1k", "500k", "1M", "2M", "200ms", "500ms"]


def test_long_labels_and_titles_are_shown_and_leave_room_for_the_curves() -> None:
    def width(label: str) -> float:
        _, svg = plot_accuracy(summarise([make_row(label)], baseline=None), title="t" * 100)
        assert "t" * 72 in svg and "t" * 73 not in svg
        [found] = re.findall(r'<svg [^>]*width="([0-9.]+)pt"', svg)
        return float(found)

    assert width("a" * 10) == width("b" * 20)
    assert width("a" * 100) > width("a" * 10) + 72 * 4  # points: as much more as the label takes


def test_curves_hold_points_by_rising_cost() -> None:
    rows = [
        make_row("hgs", budget, problem_id=f"p{i}", policy_tokens=tokens, correct=i < 3)
        for budget, tokens in [(500, 400), (250, 200)]
        for i in range(4)
    ]
    rows.append(make_row("cot", 250, correct=None))
    curves = accuracy_curves(summarise(rows, baseline=None))
    assert list(curves) == ["hgs"], "a strategy with nothing graded has no point"
    points = [(p.budget, p.cost, p.accuracy) for p in curves["hgs"]]
    assert points == [(250, 200.0, 0.75), (500, 400.0, 0.75)]


def test_odd_labels_are_drawn_as_they_are() -> None:
    rows = [make_row("_a$x^$b", None), make_row("$", None, oracle=True)]
    _, svg = plot_accuracy(summarise(rows, baseline=None), title="100% <&> $")
    assert "a$x^$b" in svg
    assert "(upper bound)" in svg


def test_oracle_rows_are_marked_as_upper_bounds(tmp_path: Path) -> None:
    rows = [replace(row, oracle=row.label == "hgs") for row in RUN]
    report = write_report(tmp_path, rows, PLAN)
    assert [row["is_upper_bound"] for row in report["rows"]] == [False, True, False, True]
    text = (tmp_path / "report.md").read_text()
    assert "| hgs (upper bound: the reward read the answers) | 250" in text
    assert "no real reward model can be expected to reach it" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0%"), (1 / 3000, "<0.1%"), (0.0005, "0.1%"), (0.5, "50.0%"), (0.9994, "99.9%"),
        (2999 / 3000, ">99.9%"), (1 - 1e-15, "100.0%"), (1.0, "100.0%"), (None, "-"),
    ],
)  # fmt: skip
def test_nearly_none_and_nearly_all_are_not_told_as_none_and_all(
    value: float | None, text: str
) -> None:
    assert percent(value) == text


def test_an_incomplete_run_says_so() -> None:
    rows = [row for row in RUN if (row.group, row.problem_id) != (("hgs", 500), "p3")]
    said = notes(summarise(rows, baseline="cot"), PLAN)
    assert said[-1].startswith("The run is not complete: hgs at budget 500 has 19 of 20 searches.")
    assert "often the easier ones" in said[-1]
    none_of_beam = notes([row for row in SUMMARY if row.label != "hgs"], PLAN)[-1]
    assert "hgs at budget 500 has 0 of 20" in none_of_beam
    assert not any("not complete" in note for note in notes(SUMMARY, PLAN))


def test_a_report_against_another_baseline(tmp_path: Path) -> None:
    report = write_report(tmp_path, RUN, PLAN, baseline="hgs")
    assert [row["p_vs_baseline"] is None for row in report["rows"]] == [False, True, False, True]
    assert report["rows"][0]["difference"] == pytest.approx(-0.4)


def test_tables_agree_in_all_forms() -> None:
    for table in report_tables(SUMMARY, PLAN):
        assert all(len(row) == len(table.header) == len(table.is_text) for row in table.rows)
        assert markdown_table(table).count("\n") == len(table.rows) + 2
        assert html_table(table).count("<tr>") == len(table.rows) + 1
        assert rich_table(table).row_count == len(table.rows)


def test_repeats_show_pass_at_k_and_the_right_test() -> None:
    rows = make_run({("cot", 250): 8, ("hgs", 250): 16}, repeats=3)
    summary = summarise(rows, baseline="cot")
    table = report_tables(summary, PLAN)[1]
    assert table.header == ("strategy", "budget", "pass@1", "pass@2", "pass@3", "too few samples")
    assert any("sign-flip" in note for note in notes(summary, replace(PLAN, seeds=3)))
    report = report_object(summary, replace(PLAN, seeds=3))
    assert report["rows"][1]["test"] == "sign-flip"
    assert report["rows"][1]["pass_at_k"] == {"1": 0.8, "2": 0.8, "3": 0.8}


def test_missing_cells_are_dashes() -> None:
    (row,) = accuracy_table(summarise([make_row(correct=None)], baseline="cot")).rows
    assert row[2:8] == ("-",) * 6


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "<1e-300"), (1e-10, "1.0e-10"), (0.0421, "0.042"), (0.5, "0.50")],
)
def test_p_text(value: float | None, text: str) -> None:
    assert p_text(value) == text


def test_number_texts() -> None:
    assert [amount(x) for x in (None, 0, 99.96, 1234.4)] == ["-", "0.0", "100.0", "1,234"]
    assert [engineering(x) for x in (None, 0, 999.7, 3.25e9)] == ["-", "0", "1 k", "3.25 G"]


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    check_installed()
    monkeypatch.setattr(extras, "BENCH_LIBRARIES", ("numpy", "no_such_library"))
    with pytest.raises(ConfigError, match=r"needs no_such_library: pip install 'stepnav\[bench\]'"):
        check_installed()
    with pytest.raises(ConfigError, match=r"needs no_such_library .*pip install"):
        extras.load("no_such_library.part")


def test_importing_the_bench_loads_nothing_heavy() -> None:
    code = (
        "import sys; import stepnav.measure.report.write, stepnav.measure.plan_file; "
        "print([m for m in ('numpy', 'scipy', 'matplotlib', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
