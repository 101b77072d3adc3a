"""Draws the rooms of the package and their imports into ARCHITECTURE.md.

    python benchmarks/diagram.py

Layers are those that `lint-imports` holds, arrows the imports that stand in the code (those within
functions too), what a room is for the first sentence of its docstring: nothing is drawn by hand.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import grimp
from importlinter.api import read_configuration

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- diagram -->\n", "<!-- end -->"
PACKAGE = "stepnav"

Arrows = dict[str, set[str]]
"""Room -> the rooms that it imports."""


def read_layers() -> list[list[str]]:
    """Return the rooms of each layer, the highest first, as import-linter is told."""
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [re.findall(rf"{PACKAGE}\.(\w+)", layer) for layer in layers]


def read_arrows(rooms: list[str]) -> Arrows:
    """Return what each room imports of others, from the code."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    arrows: Arrows = {room: set() for room in rooms}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            above, below = _room(module), _room(imported)
            if above != below and above in arrows and below in arrows:
                arrows[above].add(below)
    return arrows


def reduce(arrows: Arrows) -> Arrows:
    """Return the arrows that do not follow from others; there are no cycles."""
    return {
        room: direct - {far for near in direct for far in _reachable(near, arrows)}
        for room, direct in arrows.items()
    }


def draw() -> str:
    """Return the diagram as a mermaid block, and what each room is for as a list."""
    layers = read_layers()
    rooms = [room for layer in layers for room in layer]
    lines = ["```mermaid", "flowchart TD"]
    for number, layer in enumerate(layers):
        lines += [f'  subgraph layer{number}[" "]', "    direction LR"]
        lines += [f"    {room}" for room in layer] + ["  end"]
    for room, direct in reduce(read_arrows(rooms)).items():
        lines += [f"  {room} --> {other}" for other in sorted(direct, key=rooms.index)]
    lines += ["```", ""]
    lines += [f"- `{room}`: {_purpose(room)}" for room in rooms]
    return "\n".join(lines) + "\n"


def with_diagram(document: str) -> str:
    """Return a document with the diagram of the code as it is between its two marks."""
    before, _, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"no {BEGIN.strip()} ... {END} in the document"
    return before + BEGIN + draw() + end + after


def _room(module: str) -> str:
    return module.removeprefix(f"{PACKAGE}.").partition(".")[0]


def _reachable(room: str, arrows: Arrows) -> set[str]:
    """Return all rooms below one, itself left out."""
    found: set[str] = set()
    waiting = [*arrows[room]]
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += arrows[other]
    return found


def _purpose(room: str) -> str:
    """Return the first line of a room's docstring."""
    folder = ROOT / "src" / PACKAGE / room
    source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(source.read_text()))
    assert docstring, f"{room} does not say what lives in it"
    return docstring.splitlines()[0]


if __name__ == "__main__":
    DOCUMENT.write_text(with_diagram(DOCUMENT.read_text()))
