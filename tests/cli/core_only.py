"""Runs `stepnav` as in an install without extras: `python core_only.py COMMAND ...`.

Only the standard library, this package and what `pip install stepnav` brings can be imported.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def core_packages() -> set[str]:
    """Return the names of distributions that an install without extras brings."""
    found = {"stepnav"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = list(map(_name, project["dependencies"]))
    while waiting:
        name = _plain(waiting.pop())
        if name in found:
            continue
        try:
            needed = requires(name) or []
        except PackageNotFoundError:  # for another platform or version
            continue
        found.add(name)
        waiting += [_name(line) for line in needed if "extra ==" not in line]
    return found


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class CoreOnly:
    """A finder that knows no module of other packages."""

    def __init__(self, finder: Any, packages: set[str]) -> None:
        self._finder = finder
        self._hidden = {
            module
            for module, names in packages_distributions().items()
            if not packages & set(map(_plain, names))
        }

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        if name.partition(".")[0] in self._hidden:
            return None
        return self._finder.find_spec(name, path, target)


def main() -> None:
    packages = core_packages()
    sys.meta_path[:] = [CoreOnly(finder, packages) for finder in sys.meta_path]
    from stepnav.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
