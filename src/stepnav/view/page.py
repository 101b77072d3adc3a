"""One self-contained HTML page of a search tree: nothing is loaded, and it folds without a script.

Steps are nested `<details>` elements; a few lines of script add "open all", "chosen path only" and
"hide rejected". All text is escaped, and a content security policy forbids everything but the
page's own style and script.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from stepnav.core.outcome import SearchResult
from stepnav.core.tree import Node, Tree
from stepnav.view.clean import clean_block, clean_line
from stepnav.view.lines import RATING_GLYPHS, UNICODE, Canvas, node_note
from stepnav.view.verdict import answer_line, cost_line, stop_line, votes_line

_CANVAS = Canvas(10_000, UNICODE)
_CLASS = {1: "good", 0: "neutral", -1: "bad"}

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --faint: #767676; --line: #d8d8d8;
  --good: #00713f; --neutral: #8a6100; --bad: #b3261e; --glow: #eaf5ef; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --paper: #17191c; --faint: #9a9a9a;
  --line: #3c4046; --good: #5fd39b; --neutral: #e3b341; --bad: #ff8a80; --glow: #1d2f27; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.15rem; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
details, .leaf { margin-left: 1.1rem; border-left: 1px solid var(--line); padding-left: .5rem; }
.tree > details, .tree > .leaf { margin-left: 0; }
summary, .leaf { padding-top: .15rem; padding-bottom: .15rem; } summary { cursor: pointer; }
.step { white-space: pre-wrap; overflow-wrap: anywhere; }
.dead .step { color: var(--faint); } .chosen > summary .step, .chosen.leaf .step { font-weight: 600; }
.chosen > summary, .chosen.leaf { background: var(--glow); }
.rating { display: inline-block; min-width: 4.2rem; font-variant-numeric: tabular-nums; }
.good { color: var(--good); } .neutral { color: var(--neutral); } .bad { color: var(--bad); }
.note, .legend { color: var(--faint); font-size: .85em; } .note { margin-left: .6rem; }
button { font: inherit; margin: 0 .4rem .8rem 0; }
.brief .dead { display: none; }
"""

_SCRIPT = """
const all = () => document.querySelectorAll('.tree details');
const on = (id, act) => document.getElementById(id).addEventListener('click', act);
on('open', () => all().forEach(d => { d.open = true; }));
on('path', () => all().forEach(d => { d.open = d.classList.contains('chosen'); }));
on('dead', () => document.querySelector('.tree').classList.toggle('brief'));
document.getElementById('tools').hidden = false;
"""


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
      result: the search that it is from; adds answer, votes, stop reason and cost.
      is_correct: the answer's grade, None if there is none.
      title: of the browser window.
    """
    facts = "" if result is None else _facts(result, is_correct, tree.problem.answer)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        f"<title>{escape(clean_line(title))}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(clean_block(tree.problem.question))}</h1>\n{facts}"
        '<p id="tools" hidden><button id="open">Open all</button>'
        '<button id="path">Chosen path only</button>'
        '<button id="dead">Hide or show rejected</button></p>\n'
        f'<div class="tree">\n{_tree_html(tree)}</div>\n'
        '<p class="legend">+ right, 0 neutral, - wrong, each with the probability that the reward '
        "model gives it; point at it for all three. The chosen path is highlighted.</p>\n"
        f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _facts(result: SearchResult, is_correct: bool | None, reference: str | None) -> str:
    """Return the search's answer, votes, stop reason and cost as a definition list."""
    lines = [answer_line(_CANVAS, result, is_correct=is_correct, reference=reference).plain]
    if result.outcome.votes:
        lines.append(votes_line(_CANVAS, result.outcome.votes).plain)
    lines += [stop_line(_CANVAS, result).plain, cost_line(result.usage, result.requests).plain]
    options = ", ".join(f"{name}={value}" for name, value in result.options.items())
    pairs = [("Strategy", f"{result.strategy} ({options})" if options else result.strategy)]
    pairs += [
        (head, rest.strip()) for head, _, rest in (line.strip().partition(" ") for line in lines)
    ]
    items = "".join(
        f"<dt>{escape(clean_line(name))}</dt><dd>{escape(clean_line(value))}</dd>\n"
        for name, value in pairs
    )
    return f"<dl>\n{items}</dl>\n"


def _tree_html(tree: Tree) -> str:
    """Return the nodes as nested elements; a stack and not recursion, as trees may be deep."""
    parts: list[str] = []
    waiting: list[Node | str] = _reversed_children(tree, tree.root.children)
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            parts.append(item)
        elif item.children:
            is_open = " open" if item.status != "dead" else ""
            parts.append(f'<details class="{item.status}"{is_open}><summary>{_node_html(item)}')
            parts.append("</summary>\n")
            waiting.append("</details>\n")
            waiting += _reversed_children(tree, item.children)
        else:
            parts.append(f'<div class="leaf {item.status}">{_node_html(item)}</div>\n')
    return "".join(parts)


def _reversed_children(tree: Tree, indices: Sequence[int]) -> list[Node | str]:
    return [tree.nodes[index] for index in reversed(indices)]


def _node_html(node: Node) -> str:
    """Return rating, step and note of a node."""
    step = escape(clean_block(node.step.text).strip()) or "(empty)"
    note = escape(node_note(_CANVAS, node))
    return (
        f'{_rating_html(node)}<span class="step">{step}</span>'
        f"{f'<span class=note>{note}</span>' if note else ''}"
    )


def _rating_html(node: Node) -> str:
    """Return the rating and its probability; all three stand in the tooltip."""
    if node.score is None:
        value = "" if node.value is None else f"{node.value:.2f}"
        return f'<span class="rating">{value}</span>'
    score = node.score
    chances = (score.negative_prob, score.neutral_prob, score.positive_prob)
    tooltip = "wrong {:.1%}, neutral {:.1%}, right {:.1%}".format(*chances)
    if node.value is not None:
        tooltip += f", value {node.value:.3f}"
    return (
        f'<span class="rating {_CLASS[score.rating]}" title="{tooltip}">'
        f"{RATING_GLYPHS[score.rating]} {chances[score.rating + 1]:.0%}</span>"
    )
