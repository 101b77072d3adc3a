"""What GSM8K and SVAMP share: prompts, and grading of solutions that end in a number."""

from __future__ import annotations

from stepnav.answers.equal import compare_numbers
from stepnav.answers.extract import extract_number
from stepnav.answers.pool import Equality
from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark
from stepnav.tasks.task import Loader, Task
from stepnav.tasks.worked_examples import shipped_examples

PROMPT_TEMPLATE = "Question: {question}\nAnswer:"
"""For completion models, as lm-eval's `gsm8k` has it; worked examples go before it."""

END_STRINGS = ("Question:", "</s>", "<|im_end|>")
"""Where a completion model has gone past its solution; lm-eval 0.4.13, `gsm8k.yaml`."""

DEFAULT_SHOTS = 5
"""As lm-eval's `gsm8k`. SVAMP, which it lacks, takes GSM8K's examples: Wei et al. 2022 (arXiv
2201.11903) too have one set for all word problems."""

CHAT_TEMPLATE = (
    "Solve the problem step by step. Write each step on one line of its own. "
    "End with a line that holds only #### and the final number.\n\n{question}"
)
"""For chat models."""

ANSWER_PATTERN = r"####(?:[^\n]*?(?::|=|\b(?:is|are)\b))?[^\nA-Za-z0-9]*(?:[A-Z]{3} ?)?\d|\\boxed\{"
"""What ends a solution: a mark and a number, which a heading such as "#### Step 2" is not."""

extract = extract_number


def grade(problem: Problem, text: str | None) -> Equality:
    """Return the verdict on a solution's text, or on an answer taken from one."""
    if text is None or problem.answer is None:
        return "different"
    return compare_numbers(extract_number(text), problem.answer)


def number_task(benchmark: Benchmark, load: Loader) -> Task:
    """Return a benchmark whose answers are numbers; its worked examples are GSM8K's."""
    verdicts = {"equal": True, "different": False, "timeout": None}
    return Task(
        name=benchmark.name,
        splits=benchmark.splits,
        default_split="test",
        prompt_template=PROMPT_TEMPLATE,
        chat_template=CHAT_TEMPLATE,
        answer_pattern=ANSWER_PATTERN,
        load=load,
        extract=extract,
        grade=lambda problem, answer: verdicts[grade(problem, answer)],
        examples=lambda count: shipped_examples("gsm8k", count),
        default_shots=DEFAULT_SHOTS,
        end_strings=END_STRINGS,
    )
