"""The report of benchmarks/gpu.sh: report.md and report.json of the parts' figures.

python benchmarks/gpu_report.py OUT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def read(out: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the figures of each part, and why parts failed; what a part had measured is kept."""
    parts, failed = {}, {}
    for path in sorted(out.glob("*.json")):
        if path.stem != "report":
            parts[path.stem] = json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(out.glob("*.failed")):
        failed[path.stem] = json.loads(path.read_text(encoding="utf-8"))["failed"]
        unfinished = path.with_suffix(".part")
        if unfinished.exists():
            parts[path.stem] = json.loads(unfinished.read_text(encoding="utf-8"))
    return parts, failed


def with_floor(parts: dict[str, Any]) -> None:
    """Add to each speed its share of the bound that reading the weights once a pass sets."""
    bandwidth = parts.get("machine", {}).get("bytes_per_s")
    for name, part in parts.items():
        if not name.startswith("speed-") or bandwidth is None:
            continue
        for label, found in part.items():
            if isinstance(found, dict):
                floor_ms = 1e3 * part[f"{label.partition(',')[0]} bytes"] / bandwidth
                found["floor_ms_per_pass"] = floor_ms
                found["times the floor"] = found["ms_per_pass"] / floor_ms


def table(part: dict[str, Any]) -> list[str]:
    """Return a part's figures as a Markdown table."""
    flat = {name: value for name, value in part.items() if not isinstance(value, dict)}
    nested = {name: value for name, value in part.items() if isinstance(value, dict)}
    lines = [f"- {name}: {shown(value)}" for name, value in flat.items()]
    columns = list(dict.fromkeys(key for row in nested.values() for key in row))
    if nested:
        lines += ["", "| | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for name, row in nested.items():
        lines.append(f"| {name} | " + " | ".join(shown(row.get(key)) for key in columns) + " |")
    return lines


def shown(value: Any) -> str:
    """Return a figure as text; - for none."""
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def main(out: Path) -> None:
    """Write both reports and print the Markdown."""
    parts, failed = read(out)
    with_floor(parts)
    lines = ["# The engine on a GPU", ""]
    for name, part in parts.items():
        lines += [f"## {name}", "", *table(part), ""]
    if failed:
        lines += ["## Parts that failed", "", *(f"- {n}: {why}" for n, why in failed.items()), ""]
    text = json.dumps({"parts": parts, "failed": failed}, indent=1)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
    (out / "report.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
