"""Worked examples before the question: few-shot prompts, the same for every problem.

Texts and order are those of the harness in which the field reports the benchmark (lm-eval 0.4.13:
`gsm8k` with `sampler: first_n`, `minerva_math`, `mbpp`). Differs in: lm-eval draws other GSM8K
examples for each problem unless told to take the first ones; ours never change, so that an engine
reads them once. MBPP's wording differs by a phrase (`mbpp.py`). All come from training splits;
sources and licences stand in the data file.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from stepnav.core.errors import ConfigError
from stepnav.tasks.task import Example, Task

DELIMITER = "\n\n"
"""Between examples, and before the question."""


@lru_cache(maxsize=1)
def _shipped() -> dict[str, list[Example]]:
    path = Path(__file__).with_suffix(".json")
    return {
        task: [(question, solution) for question, solution in entry["examples"]]
        for task, entry in json.loads(path.read_text(encoding="utf-8")).items()
    }


def shipped_examples(name: str, count: int) -> list[Example]:
    """Return the first examples that ship under a name, fewer than `count` if there are fewer."""
    return _shipped()[name][:count]


def with_shots(task: Task, count: int) -> Task:
    """Return the task with so many worked examples before each question.

    Raises:
      ConfigError: the task has fewer.
    """
    if count == 0:
        return task
    examples = task.examples(count) if task.examples is not None else []
    if len(examples) < count:
        raise ConfigError(
            f"{task.name} has {len(examples)} worked examples (got --shots {count}); "
            f"give at most {len(examples)}"
        )
    shown = "".join(
        task.prompt_template.replace("{question}", question) + solution + DELIMITER
        for question, solution in examples
    )
    chat = task.chat_template
    return replace(
        task,
        prompt_template=shown + task.prompt_template,
        chat_template=None if chat is None else shown + chat,
    )
