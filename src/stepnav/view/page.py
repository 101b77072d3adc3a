"""One self-contained HTML page of a search tree: nothing is loaded, and it folds without a script.

Steps are lines; where the search forks, its branches are indented `<details>`. A chain of single
steps stays at one depth, so that a program keeps its own indentation and a deep tree fits a phone.
The script (`tree.js`) adds search, replay in the order of drawing, folding and keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from stepnav.core.aggregate import AGGREGATIONS
from stepnav.core.outcome import SearchResult
from stepnav.core.tree import Node, Tree
from stepnav.view.clean import clean_block, clean_line
from stepnav.view.document import asset, document
from stepnav.view.latex import readable
from stepnav.view.lines import RATING_GLYPHS, UNICODE, Canvas, node_note
from stepnav.view.programs import code_text, is_program
from stepnav.view.verdict import cost_line, stop_line, votes_line

_CANVAS = Canvas(10_000, UNICODE)
_CLASS = {1: "good", 0: "neutral", -1: "bad"}

MAX_INDENTED = 8
"""Forks below so many others are not indented further."""

_LEGEND = (
    '<p class="legend">The reward model\'s rating: <b class="good">+ right</b>, '
    '<b class="neutral">0 neutral</b>, <b class="bad">- wrong</b>, each with the probability that '
    "it gives it (point at it for all three). The chosen path is shaded. The small number "
    "tells in which order the steps were drawn, \N{MULTIPLICATION SIGN}n how often; score is what "
    "the strategy ranked by. Keys: \N{UPWARDS ARROW} \N{DOWNWARDS ARROW} move, "
    "\N{LEFTWARDS ARROW} \N{RIGHTWARDS ARROW} fold, / search, Enter next.</p>\n"
)


def render_page(
    tree: Tree,
    *,
    result: SearchResult | None = None,
    is_correct: bool | None = None,
    title: str = "stepnav search tree",
) -> str:
    """Return a page that shows a tree.

    Args:
      tree: any tree.
      result: the search that it is from; adds answer, votes, stop reason, cost and ranking scores.
      is_correct: the answer's grade, None if there is none.
      title: of the browser window.
    """
    body = question_html(tree, "h1") + tree_view(tree, result=result, is_correct=is_correct)
    return document(title, body, style=tree_style(), script=tree_script())


def tree_style() -> str:
    """Return the CSS that tree views need."""
    return asset(__package__, "tree.css")


def tree_script() -> str:
    """Return the script that tree views need."""
    return asset(__package__, "tree.js")


def question_html(tree: Tree, tag: str) -> str:
    """Return the problem's text as an element."""
    kind = "question code" if _is_code(tree) else "question"
    return f'<{tag} class="{kind}">{escape(question_text(tree))}</{tag}>\n'


def question_text(tree: Tree) -> str:
    """Return the problem's text with its lines, formulas written out; not yet escaped."""
    text = clean_block(tree.problem.question).strip()
    return text if _is_code(tree) else readable(text)


def tree_view(
    tree: Tree, *, result: SearchResult | None = None, is_correct: bool | None = None
) -> str:
    """Return a tree with legend and tools as HTML for a page with `tree_style` and `tree_script`.

    Args:
      tree: any tree.
      result: the search that it is from, if there is one.
      is_correct: the answer's grade, None if there is none.
    """
    facts = "" if result is None else _facts(tree, result, is_correct)
    aggregation = None if result is None else result.options.get("aggregation")
    return (
        f'<section class="view">\n{facts}{_LEGEND}{_tools(len(tree.nodes) - 1)}'
        f"{_tree_html(tree, aggregation)}</section>\n"
    )


def _is_code(tree: Tree) -> bool:
    return is_program(tree.problem, (node.step.text for node in tree.nodes[1:]))


def _tools(count: int) -> str:
    """Return the buttons, hidden until the script runs."""
    return (
        '<p class="tools" hidden><button data-act="open">Open all</button>'
        '<button data-act="path">Chosen path only</button>'
        '<button data-act="dead" aria-pressed="false">Hide rejected</button>'
        '<input type="search" placeholder="Search steps" aria-label="Search steps">'
        '<span class="found" role="status"></span>'
        f'<span class="replay"><label>Replay<input type="range" min="0" max="{count}" '
        f'value="{count}"><output>{count} of {count}</output></label><button data-act="play" '
        'aria-pressed="false">Play</button></span></p>\n'
    )


def _facts(tree: Tree, result: SearchResult, is_correct: bool | None) -> str:
    """Return the search's answer, votes, stop reason and cost as a definition list."""
    options = ", ".join(f"{name}={value}" for name, value in result.options.items())
    strategy = f"{result.strategy} ({options})" if options else result.strategy
    reference, is_code = tree.problem.answer, _is_code(tree)
    answer = "none found" if result.answer is None else _answer_html(result.answer, is_code)
    items = [("Strategy", _plain(strategy)), ("Answer", _badge(is_correct) + answer)]
    if is_correct is False and reference is not None:
        items.append(("Right is", _answer_html(reference, is_code)))
    lines = [votes_line(_CANVAS, result.outcome.votes)] if result.outcome.votes else []
    lines += [stop_line(_CANVAS, result), cost_line(result.usage, result.requests)]
    for line in lines:
        head, _, rest = line.plain.strip().partition(" ")
        items.append((head, _plain(rest)))
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>\n" for name, value in items)
    return f"<dl>\n{rows}</dl>\n"


def _plain(text: str) -> str:
    return escape(clean_line(text))


def _badge(is_correct: bool | None) -> str:
    """Return right or wrong where that is known."""
    if is_correct is None:
        return ""
    kind, word = ("good", "right") if is_correct else ("bad", "wrong")
    return f'<span class="badge {kind}">{word}</span> '


def _answer_html(answer: str, is_code: bool) -> str:
    """Return an answer; a program, or one of several lines, keeps them."""
    text = clean_block(answer).strip("\n").rstrip()
    if is_code or "\n" in text:
        return f"<pre>{escape(text)}</pre>"
    return f"<b>{escape(readable(text))}</b>"


def _tree_html(tree: Tree, aggregation: str | None) -> str:
    """Return the nodes as nested elements; a stack and not recursion, as trees may be deep."""
    parts: list[str] = []
    is_code, depths = _is_code(tree), _depths(tree)
    waiting: list[Node | str] = _children(tree, tree.root, depths)
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        kind = f"line {item.status} {_rating_class(item)}".rstrip()
        inner = _node_html(tree, item, aggregation, is_code)
        if item.children and len(tree.parent(item).children) > 1:
            is_open = "" if item.status == "dead" else " open"
            parts.append(f'<details{is_open}><summary class="{kind}" data-n="{item.index}">')
            parts.append(f"{inner}</summary>\n")
            waiting.append("</details>\n")
        else:
            parts.append(f'<div class="{kind}" data-n="{item.index}">{inner}</div>\n')
        waiting += _children(tree, item, depths)
    code = f' code" style="--depth:0;--deepest:{max(depths)}' if is_code else ""
    return f'<div class="tree{code}">\n{"".join(parts)}</div>\n'


def _depths(tree: Tree) -> list[int]:
    """Return for each node how far it is indented: the forks above it that indent."""
    depths = [0] * len(tree.nodes)
    for node in tree.nodes:
        is_indented = len(node.children) > 1 and node.index != tree.root.index
        for child in node.children:
            depths[child] = min(depths[node.index] + is_indented, MAX_INDENTED)
    return depths


def _children(tree: Tree, node: Node, depths: Sequence[int]) -> list[Node | str]:
    """Return the children of a node, last one first, in a box of their own if it forks."""
    children: list[Node | str] = [tree.nodes[index] for index in reversed(node.children)]
    if len(children) < 2:
        return children
    depth = depths[node.children[0]]
    deep = " deep" if depth == depths[node.index] else ""
    return ["</div>\n", *children, f'<div class="fork{deep}" style="--depth:{depth}">']


def _rating_class(node: Node) -> str:
    return "" if node.score is None else f"r{node.score.rating}"


def _node_html(tree: Tree, node: Node, aggregation: str | None, is_code: bool) -> str:
    """Return order, rating, step and note of a node."""
    source = clean_block(node.step.text)
    shown = code_text(source) if is_code else readable(source.strip()) or source.strip()
    hint = "" if is_code or shown == source.strip() else f' title="{escape(source.strip())}"'
    notes = [node_note(_CANVAS, node), _rank_text(tree, node, aggregation)]
    note = escape(", ".join(text for text in notes if text))
    return (
        f'<span class="n">{node.index}</span>{_rating_html(node)}'
        f'<span class="step"{hint}>{escape(shown) or "(empty)"}</span>'
        f"{f'<span class=note>{note}</span>' if note else ''}"
    )


def _rank_text(tree: Tree, node: Node, aggregation: str | None) -> str:
    """Return the number by which the strategy ranked a node, empty if it did not.

    Strategies that draw whole solutions rank these by their step scores put together, and only
    beam search keeps the number in the tree.
    """
    value, combine = node.value, AGGREGATIONS.get(aggregation or "")
    if value is None and combine is not None and node.is_finished:
        scores = [member.score for member in tree.path(node)]
        known = [score.value for score in scores if score is not None]
        value = combine(known) if len(known) == len(scores) else None
    return "" if value is None else f"score {value:.3f}"


def _rating_html(node: Node) -> str:
    """Return the rating and its probability; all three stand in the tooltip."""
    if node.score is None:
        return '<span class="rating"></span>'
    score = node.score
    chances = (score.negative_prob, score.neutral_prob, score.positive_prob)
    tooltip = "wrong {:.1%}, neutral {:.1%}, right {:.1%}".format(*chances)
    return (
        f'<span class="rating {_CLASS[score.rating]}" title="{tooltip}">'
        f"{RATING_GLYPHS[score.rating]} {chances[score.rating + 1]:.0%}</span>"
    )
