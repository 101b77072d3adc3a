"""The head of a card, from which the Hugging Face hub reads what a folder is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def front_matter(fields: Mapping[str, Any]) -> str:
    """Return fields as the YAML head of a Markdown file; those that are None are left out.

    Values are written as JSON, which YAML reads.

    Example:
      >>> print(front_matter({"library_name": "transformers", "tags": ["prm"], "license": None}))
      ---
      library_name: "transformers"
      tags: ["prm"]
      ---
      <BLANKLINE>
    """
    lines = [
        f"{name}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in fields.items()
        if value is not None
    ]
    return "\n".join(["---", *lines, "---", ""])


def dataset_head(files: Mapping[str, str], tags: Sequence[str]) -> str:
    """Return the head of a data set's card.

    Args:
      files: split -> name of its file.
      tags: by which it is found.
    """
    parts = [{"split": split, "path": path} for split, path in files.items()]
    configs = [{"config_name": "default", "data_files": parts}]
    return front_matter({"tags": ["stepnav", *tags], "configs": configs if parts else None})
