"""What word problems share: prompts, and grading of solutions that end in a number.

Some benchmarks have answers of several numbers or of words beside those of one number: what stands
where the number would is the answer there (`stated`), and `compare_stated` compares it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from stepnav.answers.canonical import NUMBER, canonical, parse_number
from stepnav.answers.equal import compare_fast, compare_numbers
from stepnav.answers.extract import extract_answer, extract_number, last_boxed
from stepnav.answers.pool import Equality
from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields
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

WORDS_TEMPLATE = CHAT_TEMPLATE.replace("final number", "final answer")
"""The same where an answer may be words."""

ANSWER_PATTERN = (
    r"(?:^|\n)(?:(?!####)[^\n])*####"  # the first of a line alone, so that no line is read twice
    r"(?:[^\n]*?(?:####|:|=|\b(?:is|are)\b))?(?:[^\nA-Za-z0-9:=#\u00bc-\u00be]|#(?!###))*"
    r"(?:[A-Z]{3} ?|(?:[Mm]inus|[Nn]egative) \\?[$\u20ac\u00a3]?|[dtc]?frac[ {]*)?[\d\u00bc-\u00be]"
    r"|\\boxed\{"
)
"""What ends a solution: a mark and a number, which a heading such as "#### Step 2" is not."""

WORDS_PATTERN = r"####\s*\S|\\boxed\{"
"""What ends a solution where an answer may be words."""

_VALUE = re.compile(rf"(?<![\w.,])(?:{NUMBER})")
_MARK = re.compile(r"\banswer(?:\s+is|\s*:)\s*(?::\s*)?([^\n]+)", re.IGNORECASE)

extract = extract_number


def grade(problem: Problem, text: str | None) -> Equality:
    """Return the verdict on a solution's text, or on an answer taken from one."""
    if text is None or problem.answer is None:
        return "different"
    return compare_numbers(extract_number(text), problem.answer)


def number_field(row: Fields, name: str) -> str:
    """Return a field that must be a number, or a list of one, in canonical form."""
    value = row[name][0] if isinstance(row[name], list) and row[name] else row[name]
    if parse_number(str(value)) is None:
        raise ValueError(f"field {name!r} must be a number (got {value!r})")
    return canonical(str(value))


def compare_floats(answer: str | None, reference: str) -> Equality:
    """Return the verdict of PAL's grader (Gao et al. 2022, arXiv 2211.10435): less than .001 apart.

    Both are Python floats there, so that integers of more than 16 digits are rounded.
    """
    left, right = parse_number(answer or ""), parse_number(reference)
    if left is None or right is None:
        return "different"
    try:
        return "equal" if abs(float(left) - float(right)) < 1e-3 else "different"
    except OverflowError:
        return compare_numbers(answer, reference)


def stated(text: str) -> str | None:
    """Return what a solution states as its answer: one number, or the words and numbers there.

    It stands in a box, after the last `####`, or after "answer is"; a line that is no sentence is
    an answer already.

    Example:
      >>> stated("#### 9 apples"), stated("#### 3 red; 4 blue"), stated("The answer is Ann.")
      ('9', '3 red; 4 blue', 'Ann')
    """
    box, (_, hashes, rest) = last_boxed(text), text.strip().rpartition("####")
    marks = _MARK.findall(text)
    line = box or (marks[-1] if marks and not hashes else rest.strip().partition("\n")[0])
    if not (box or hashes or marks) and (line != rest or line.endswith(".")):
        return extract_answer(text)
    line = line.strip(" .*$")
    if len(_VALUE.findall(line)) == 1 or "=" in line:
        return extract_number(f"#### {line}")
    return line or None


def compare_stated(answer: str | None, reference: str) -> Equality:
    """Return the verdict on an answer of one number, of several in their order, or of words."""
    if answer is None:
        return "different"
    wanted = _VALUE.findall(reference)
    if parse_number(reference) is not None:
        return compare_floats(extract_number(f"#### {answer}"), reference)
    if wanted:
        found = _VALUE.findall(answer)
        is_equal = [*map(canonical, found)] == [*map(canonical, wanted)]
        return "equal" if is_equal else "different"
    if answer.casefold() == reference.casefold():
        return "equal"
    return compare_fast(answer, reference) or "different"


def number_task(
    benchmark: Benchmark,
    load: Loader,
    *,
    extract: Callable[[str], str | None] = extract_number,
    compare: Callable[[str | None, str], Equality] = compare_numbers,
    has_words: bool = False,
) -> Task:
    """Return a benchmark of word problems; its worked examples are GSM8K's.

    Args:
      benchmark: its records; `load` is its loader.
      extract: a solution's text, or an answer, to the answer in it.
      compare: (answer, reference) to the verdict.
      has_words: whether some answers are no numbers.
    """

    def verdict(problem: Problem, answer: str | None) -> bool:
        if answer is None or problem.answer is None:
            return False
        found = extract(answer)  # where it is extracted already, nothing changes
        return found == problem.answer or compare(found, problem.answer) == "equal"

    return Task(
        name=benchmark.name,
        splits=benchmark.splits,
        default_split="test",
        prompt_template=PROMPT_TEMPLATE,
        chat_template=WORDS_TEMPLATE if has_words else CHAT_TEMPLATE,
        answer_pattern=WORDS_PATTERN if has_words else ANSWER_PATTERN,
        load=load,
        extract=extract,
        grade=verdict,
        examples=lambda count: shipped_examples("gsm8k", count),
        default_shots=DEFAULT_SHOTS,
        end_strings=END_STRINGS,
    )
