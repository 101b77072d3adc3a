"""A comparison as Python sees it: rows, trees, and the summary with its tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stepnav.core.errors import ConfigError
from stepnav.measure.report.tables import accuracy_table
from stepnav.measure.report.text_table import markdown_table
from stepnav.measure.rows import ResultRow
from stepnav.measure.summary import SummaryRow
from stepnav.view.shown import ShownTree


@dataclass(frozen=True, slots=True)
class Results:
    """A comparison of strategies.

    Attributes:
      rows: one per search (`ResultRow`), in the order of the plan.
      trees: the searches' trees, in the same order; each shows itself.
      summary: one per strategy and budget (`SummaryRow`), with intervals and paired tests.
    """

    rows: Sequence[ResultRow]
    trees: Sequence[ShownTree]
    summary: Sequence[SummaryRow]

    def table(self) -> str:
        """Return accuracy, cost and tests as a Markdown table."""
        return markdown_table(accuracy_table(self.summary))

    def to_pandas(self) -> Any:
        """Return the rows as a `pandas.DataFrame`.

        Raises:
          ConfigError: pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            raise ConfigError("to_pandas needs pandas: pip install pandas") from None
        return pandas.DataFrame([asdict(row) for row in self.rows])

    def to_dataset(self) -> Any:
        """Return the rows as a `datasets.Dataset`; options are JSON text.

        Raises:
          ConfigError: datasets is not installed.
        """
        try:
            import datasets
        except ImportError:
            raise ConfigError("to_dataset needs datasets: pip install 'stepnav[hub]'") from None
        rows = [{**asdict(row), "options": json.dumps(dict(row.options))} for row in self.rows]
        return datasets.Dataset.from_list(rows)

    def _repr_markdown_(self) -> str:
        return self.table()
