from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from stepnav.core.records import Problem, Step
from stepnav.core.tree import Tree
from stepnav.view.lines import ASCII, PIPE_WIDTH, UNICODE, Canvas
from stepnav.view.terminal import TreeFollower, print_tree, tree_lines
from tests.view.trees import BAD, GOOD, PROBLEM, backtracking_tree, pipe, printed, terminal


def lines_of(text: str) -> list[str]:
    """Return lines without trailing blanks and with runs of blanks before a note shortened."""
    return [re.sub(r"(?<=[\w.]) {2,}(?=\S)", "  ", line.rstrip()) for line in text.splitlines()]


def test_the_log_of_a_search_in_a_pipe() -> None:
    console = pipe()
    follower = TreeFollower(console)
    follower.start(PROBLEM)
    backtracking_tree(on_change=follower)
    follower.finish()
    assert lines_of(printed(console)) == [
        " Problem  Tom has 3 bags with 4 apples each. He eats 2. How many are left?",
        "",
        "   0  70%  Tom likes apples.  kept aside",
        "   +  98%  He has 3 + 4 = 7 apples.",
        "   -  97%  │ #### 5  rejected",
        " ↩         │ back: 3 steps tried here, 2 repeated, none holds",
        " ↪         on from: Tom likes apples.",
        "   +  98%  │ 3 * 4 - 2 = 10.",
        "   +  98%  │ │ #### 10  solution",
    ]


def test_a_long_solution_that_was_held_back_is_shown() -> None:
    console = pipe()
    follower = TreeFollower(console)
    tree = Tree(PROBLEM, follower)
    steps = [Step(f"step {number}\n") for number in range(1500)]
    leaf = tree.add_trajectory(tree.root.trajectory.extend(*steps))
    tree.mark(leaf, "dead")
    assert "step 1499" in printed(console)


def test_the_finished_tree() -> None:
    console = pipe()
    print_tree(console, backtracking_tree())
    assert lines_of(printed(console))[2:] == [
        " ● 0  70%  ├╴Tom likes apples.",
        " ● +  98%  │ └╴3 * 4 - 2 = 10.",
        " ● +  98%  │   └╴#### 10  answer",
        "   +  98%  └╴He has 3 + 4 = 7 apples.  dead end",
        "   -  97%    └╴#### 5  rejected, ×3",  # noqa: RUF001
        "",
        " + right · 0 neutral · - wrong, each with how sure the reward model is · ● chosen · "
        "×n drawn n times",  # noqa: RUF001
    ]


def test_the_dead_can_be_left_out() -> None:
    lines = tree_lines(backtracking_tree(), Canvas(80, UNICODE), show_dead=False)
    assert lines_of("\n".join(line.plain for line in lines)) == [
        " ● 0  70%  └╴Tom likes apples.",
        " ● +  98%    └╴3 * 4 - 2 = 10.",
        " ● +  98%      └╴#### 10  answer",
    ]


def test_a_pipe_gets_no_escape_codes_and_a_terminal_gets_colours() -> None:
    for console, has_codes in [(pipe(), False), (terminal(), True)]:
        follower = TreeFollower(console)
        follower.start(PROBLEM)
        tree = backtracking_tree(on_change=follower)
        follower.finish()
        print_tree(console, tree)
        assert ("\x1b[" in printed(console)) is has_codes


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_can_show_it(encoding: str) -> None:
    console = pipe(encoding)
    follower = TreeFollower(console)
    tree = Tree(Problem("p", "数学 ½ 🙂?"), on_change=follower)
    follower.start(tree.problem)
    node = tree.add(tree.root, Step("答 = 4 ½"), GOOD)
    tree.add(node, Step("é"), BAD)
    follower.finish()
    print_tree(console, tree)
    text = printed(console)
    assert "98%" in text
    assert ("答" in text) == (encoding == "utf-8")


def test_model_text_is_neither_markup_nor_control() -> None:
    console = terminal(100)
    follower = TreeFollower(console)
    tree = Tree(Problem("p", "[red]Q[/red] \x1b[2J"), on_change=follower)
    follower.start(tree.problem)
    tree.add(tree.root, Step("[bold]a[/bold] :smile: \x1b[31mred\x1b]0;t\x07 [/nothing]\n"), GOOD)
    follower.finish()
    print_tree(console, tree)
    text = printed(console)
    assert text.count("[bold]a[/bold] :smile: red [/nothing]") == 2
    assert "[red]Q[/red]" in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text


def test_steps_are_held_back_until_they_are_rated() -> None:
    console = pipe()
    follower = TreeFollower(console)
    tree = Tree(PROBLEM, on_change=follower)
    ends = []
    for first, last in [("A\n", "#### 1"), ("B\n", "#### 2")]:
        node = tree.add(tree.root, Step(first))
        ends.append(tree.add(node, Step(last, "end")))
    assert printed(console) == ""
    for end, first_score in zip(ends, [BAD, GOOD]):
        tree.add_scores(end.trajectory, [first_score, GOOD])
    assert lines_of(printed(console)) == [
        "   -  97%  A",
        "   +  98%  │ #### 1  solution",
        "   +  98%  B",
        "   +  98%  │ #### 2  solution",
    ]


def test_steps_that_nobody_rates_come_in_order_when_the_choice_is_made() -> None:
    console = pipe()
    follower = TreeFollower(console)
    tree = Tree(PROBLEM, on_change=follower)
    for text in ("A\n", "B\n"):
        last = tree.add(tree.add(tree.root, Step(text)), Step("#### 1", "end"))
    tree.mark_path(last, "chosen")
    assert lines_of(printed(console)) == [
        "           A",
        "           │ #### 1  solution",
        " ●         B",
        "           │ #### 1  solution",
    ]


def test_a_beam_shows_what_it_keeps_before_what_it_drops() -> None:
    console = pipe()
    follower = TreeFollower(console)
    tree = Tree(PROBLEM, on_change=follower)
    kept, dropped = tree.add(tree.root, Step("A\n")), tree.add(tree.root, Step("B\n"))
    kept.score, dropped.score = GOOD, GOOD
    tree.mark(kept, "accepted")
    tree.mark(dropped, "dead")
    end = tree.add(kept, Step("#### 1", "end"), GOOD)
    tree.mark(end, "accepted")
    tree.mark(end, "dead")  # outranked in the next round
    assert lines_of(printed(console)) == [
        "   +  98%  A",
        "   +  98%  B  dropped",
        "   +  98%  │ #### 1  solution",
        "           │ dropped: #### 1",
    ]


def test_going_on_from_an_older_node_is_said() -> None:
    console = pipe()
    follower = TreeFollower(console)
    tree = Tree(PROBLEM, on_change=follower)
    first = tree.add(tree.root, Step("A\n"), GOOD)
    tree.add(tree.root, Step("B\n"), GOOD)
    child = tree.add(first, Step("C\n"), GOOD)
    tree.add(child, Step("D\n"), GOOD)
    tree.add(child, Step("E\n"), GOOD)
    follower.finish()
    assert [line[11:] for line in lines_of(printed(console))] == [
        "A",
        "B",
        "on from: A",
        "│ C",
        "│ │ D",
        "│ │ E",
    ]


def test_each_node_is_logged_once_whatever_is_marked() -> None:
    console = pipe()
    follower = TreeFollower(console)
    tree = backtracking_tree(on_change=follower)
    for node in tree.nodes:
        tree.mark(node, node.status)
    follower.finish()
    follower.finish()
    assert printed(console).count("3 * 4 - 2 = 10.") == 1


def test_a_step_cut_short_and_an_empty_one_are_named() -> None:
    tree = Tree(PROBLEM)
    tree.mark(tree.add(tree.root, Step("half a", "length")), "dead")
    tree.mark(tree.add(tree.root, Step(" \n"), GOOD), "dead")
    cut, empty = tree_lines(tree, Canvas(80, ASCII))
    assert cut.plain.endswith("cut off")
    assert "(empty)" in empty.plain
    assert empty.plain.endswith("dropped")


def test_a_value_stands_where_there_is_no_rating() -> None:
    tree = Tree(PROBLEM)
    tree.add(tree.root, Step("A\n")).value = 0.734
    (line,) = tree_lines(tree, Canvas(80, UNICODE))
    assert "0.73" in line.plain


@given(
    st.lists(st.text(max_size=60), min_size=1, max_size=40),
    st.integers(20, 120),
    st.sampled_from([UNICODE, ASCII]),
)
@settings(max_examples=60, deadline=None)
def test_no_line_is_wider_than_the_canvas(texts: list[str], width: int, glyphs: object) -> None:
    tree = Tree(PROBLEM)
    node = tree.root
    for text in texts:  # a chain: the deepest tree that so many steps can make
        node = tree.add(node, Step(text), GOOD)
        node.duplicates = 11
    canvas = Canvas(max(width, 40), glyphs)  # type: ignore[arg-type]
    lines = tree_lines(tree, canvas)
    assert len(lines) == len(texts)
    assert all(cell_len(line.plain) <= canvas.width + 4 for line in lines)
    assert all("\n" not in line.plain for line in lines)


def test_a_narrow_terminal_never_wraps_a_step() -> None:
    console = terminal(60)
    follower = TreeFollower(console)
    follower.start(PROBLEM)
    tree = Tree(PROBLEM, on_change=follower)
    tree.add(tree.root, Step("a very long step " * 20), GOOD)
    follower.finish()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", printed(console)).splitlines()
    assert all(len(line) <= 60 for line in plain)
    assert plain[-1].rstrip().endswith("…")
    assert plain[0].startswith(" Problem  Tom")
    assert plain[1].startswith("          "), "the question hangs under its head"


def test_a_deep_tree_does_not_exhaust_the_stack() -> None:
    tree = Tree(PROBLEM)
    node = tree.root
    for index in range(3000):
        node = tree.add(node, Step(f"{index}\n"), GOOD)
    assert len(tree_lines(tree, Canvas(80, UNICODE))) == 3000


def test_a_pipe_has_a_width_of_its_own() -> None:
    assert Canvas.of(pipe()).width == PIPE_WIDTH
