"""Draws the diagram of the rooms without a script: a row for each layer, a box for each room."""

from __future__ import annotations

import re
from typing import Any


def draw(source: str, *_: Any, **__: Any) -> str:
    """Return the HTML of a flowchart whose subgraphs are layers."""
    arrows = re.findall(r"^ +(\w+) --> (\w+)$", source, re.MULTILINE)
    rows = []
    for layer in re.findall(r"direction LR\n(.*?)  end", source, re.DOTALL):
        boxes = []
        for room in layer.split():
            below = ", ".join(end for start, end in arrows if start == room)
            arrow = f"<small>→ {below}</small>" if below else ""
            boxes.append(f"<div><code>{room}</code>{arrow}</div>")
        rows.append(f"<div>{''.join(boxes)}</div>")
    return f'<div class="rooms">{"".join(rows)}</div>'
