"""What word problems share: prompts, and grading of solutions that end in a number.

Some benchmarks have answers of several numbers or of words beside those of one number: what stands
where the number would is the answer there (`stated`), and `compare_stated` compares it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from stepnav.answers.canonical import NUMBER, canonical, parse_number
from stepnav.answers.equal import compare_fast, compare_numbers
from stepnav.answers.extract import extract_answer, extract_number, last_boxed, stated_number
from stepnav.answers.plain_numbers import plain_numbers
from stepnav.answers.pool import Equality
from stepnav.answers.spelling import MAX_CHARACTERS
from stepnav.core.records import Problem
from stepnav.tasks.benchmark_file import Benchmark, Fields
from stepnav.tasks.task import Task
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
    r"(?:[A-Z]{3} ?|(?:[Mm]inus|[Nn]egative|[Aa]bout|[Aa]pproximately|Rs\.?) \\?[$\u20ac\u00a3]?"
    r"|(?:[dtc]?frac|text[a-z]*|math[a-z]*)[ {]*-?)?[\d\u00bc-\u00be]"
    r"|\\boxed\{"
)
"""What ends a solution: a mark and a number, which a heading such as "#### Step 2" is not."""

_HEADING = (
    r"[*_ \t]*(?i:(?:step|part|case|phase|stage|section)\b[ \t]*\d"
    r"|(?:(?:final )?answer|solution|explanation|reasoning|analysis|approach|calculations?|result"
    r"|conclusion|summary)\b[*_. \t]*(?:\n|$)"
    r"|[^\n]{0,200}:[*_ \t]*(?:\n|$))"
)
"""What begins after `####` where that is Markdown's."""

_HASHED = rf"(?<!#)####+\s*(?!{_HEADING})[^\s#]"
WORDS_PATTERN = _HASHED + r"|\\boxed\{"
"""What ends a solution where an answer may be words: a box, or `####` and no heading."""

_HASHED_LINE = re.compile(rf"(?={_HASHED})#+\s*([^\n]*)")
_VALUE = re.compile(rf"(?<![\w.])(?:{NUMBER})")
_FILLER = re.compile(r"\band\b|[\s$(){}\\,;:.]")
"""What may stand between the numbers of a list, and around them."""

_PARTS = re.compile(r"[,;](?!\d{3})|\\text\s*\{\s*and\s*\}|\band\b")
_NAMED = re.compile(r"[^\W\d_][^=\d]*=")
_DIGIT = re.compile(r"\d")
_MARK = re.compile(r"\banswer(?:\s+is|\s*:)\s*(?::\s*)?([^\n]+)", re.IGNORECASE)


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
    line = stated_line(text)
    if line is None:
        return extract_answer(text)
    if _assigned(line) is None and (len(_values(line)) == 1 or "=" in line):
        return extract_number(f"#### {line}")
    return line or None


def stated_line(text: str) -> str | None:
    """Return the line in which a solution states its answer, None if it marks none."""
    line = last_boxed(text) or hashed_line(text)
    if line is None:
        marks = _MARK.findall(text)
        line = marks[-1] if marks else text.strip()
        if not marks and ("\n" in line or line.endswith(".") or "####" in line):
            return None
    return line.strip(" .*$")


def hashed_line(text: str) -> str | None:
    r"""Return the line after the last `####` that begins no heading, None if there is none.

    Example:
      >>> hashed_line("#### Step 1\n2 + 2 = 4\n#### 4"), hashed_line("#### Solution:")
      ('4', None)
    """
    found = _HASHED_LINE.findall(text)
    return found[-1].rpartition("####")[2].strip() or None if found else None


def _values(line: str) -> list[str]:
    """Return the numbers of a line in canonical form; of assignments what they assign."""
    assigned = _assigned(line)
    if assigned is not None:
        return assigned
    return [canonical(number) for number in _VALUE.findall(plain_numbers(line))]


def _assigned(line: str) -> list[str] | None:
    """Return what a line of assignments to several names, or of several values, assigns, else None.

    Example:
      >>> _assigned("red = 2 + 3 = 5, blue = 3"), _assigned("(x, y) = (5, 3)"), _assigned("x = 5")
      (['5', '3'], ['5', '3'], None)
    """
    if "=" not in line or len(line) > MAX_CHARACTERS:
        return None
    name, _, right = line.partition("=")
    listed = plain_numbers(right)
    found = _VALUE.findall(listed)
    if len(found) > 1 and not (_DIGIT.search(name) or _FILLER.sub("", _VALUE.sub("", listed))):
        return [*map(canonical, found)]
    parts = [part.strip(" {}$*\\") for part in _PARTS.split(line)]
    results = [stated_number(part) for part in parts if _NAMED.match(part)]
    numbers = [number for number in results if number is not None]
    return numbers if 1 < len(numbers) == len(parts) else None


def compare_stated(answer: str | None, reference: str) -> Equality:
    """Return the verdict on an answer of one number, of several in their order, or of words."""
    if answer is None:
        return "different"
    wanted = _values(reference)
    if parse_number(reference) is not None:
        return compare_floats(extract_number(f"#### {answer}"), reference)
    if wanted:
        return "equal" if _values(answer) == wanted else "different"
    if answer.casefold() == reference.casefold():
        return "equal"
    return compare_fast(answer, reference) or "different"


def number_task(
    benchmark: Benchmark,
    *,
    extract: Callable[[str], str | None] = extract_number,
    compare: Callable[[str | None, str], Equality] = compare_numbers,
    has_words: bool = False,
) -> Task:
    """Return a benchmark of word problems; its worked examples are GSM8K's.

    Args:
      benchmark: its records and loader.
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
        load=benchmark.load,
        extract=extract,
        grade=verdict,
        examples=lambda count: shipped_examples("gsm8k", count),
        default_shots=DEFAULT_SHOTS,
        end_strings=END_STRINGS,
    )
