"""Whether two answers are the same: by spelling, by their forms, and only then by math-verify.

The fast paths (see `forms`) settle nearly all answers exactly and without a process. What they
cannot read, integrals and sums for example, or what is too big for them, goes to workers that are
killed by CPU time (see `worker`), with "timeout" as an outcome of its own: neither right nor wrong,
and reports count it.
"""

from __future__ import annotations

import atexit
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import lru_cache

from stepnav.answers import sameness
from stepnav.answers.canonical import parse_number
from stepnav.answers.expression import UnreadableError
from stepnav.answers.forms import Form
from stepnav.answers.pool import Equality, WorkerPool
from stepnav.answers.reading.answer import read
from stepnav.answers.reading.phrases import are_letters_alike
from stepnav.answers.spelling import spelled, tidy
from stepnav.answers.value import TooBigError

ROUNDING = Fraction(1, 2 * 10**6)
"""Half of the sixth decimal place: what a number task forgives where a number is not whole."""

_PLAIN = re.compile(
    r"(-?)(?:(\d{1,3}(?:,\d{3}){1,20}|\d{1,300})(\.\d{1,300})?"
    r"|(\d{1,300})/(\d{1,300})|\\[dt]?frac\{(-?\d{1,300})\}\{(\d{1,300})\})"
)
_BEYOND = re.compile(r"\\(?:i?int|sum|prod|lim|limsup|liminf|bmod|det|gcd|lcm|max|min)(?![A-Za-z])")
"""What math-verify reads and `expression` does not."""

_ONE_AT_A_TIME = threading.Lock()
"""mpmath raises its context's precision inside some functions, for all threads."""

_NOT_ITS = re.compile(r"[=<>]|\\(?:le|ge|ne|in|equiv|pmod|text|mid|approx)(?![A-Za-z])")
"""What math-verify does not tell apart: `x = 5` from `y = 5`, or what words say."""

_SUBSCRIPT = re.compile(r"_\s*\{[^{}]*\}")


class AnswerChecker:
    """Compares answers; a context manager that ends its worker processes.

    Args:
      num_workers: most math-verify processes at once.
      cpu_s: CPU seconds that one comparison by math-verify may use.
    """

    def __init__(self, num_workers: int = 1, *, cpu_s: float = 5.0) -> None:
        self.pool = WorkerPool(num_workers, cpu_s=cpu_s)

    def compare(self, answer: str | None, reference: str) -> Equality:
        """Return whether an answer equals the reference; no answer (None) differs.

        Raises:
          ConfigError: this needs mpmath or math-verify, and it is not installed.
        """
        if answer is None:
            return "different"
        return compare_fast(answer, reference) or self.pool.compare(answer, reference)

    def compare_many(self, pairs: Sequence[tuple[str | None, str]]) -> list[Equality]:
        """Return one verdict per (answer, reference), same order, using all workers."""
        if self.pool.num_workers == 1 or len(pairs) < 2:
            return [self.compare(answer, reference) for answer, reference in pairs]
        with ThreadPoolExecutor(self.pool.num_workers) as threads:
            return list(threads.map(lambda pair: self.compare(*pair), pairs))

    def close(self) -> None:
        """End the worker processes; may be called twice."""
        self.pool.close()

    def __enter__(self) -> AnswerChecker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def compare_fast(answer: str, reference: str) -> Equality | None:
    r"""Return the verdict if it needs no math-verify, None if it does.

    Example:
      >>> compare_fast("1,000.0", "1000"), compare_fast("x+1", "1+x"), compare_fast(r"\int x", "1")
      ('equal', 'equal', None)

    Raises:
      ConfigError: this needs mpmath, and it is not installed.
    """
    left, right = _plain_number(answer), _plain_number(reference)
    if left is not None and right is not None:
        return _verdict(left == right)
    if not answer.strip() or not reference.strip():
        return "different"
    if spelled(answer) == spelled(reference):
        return "equal"
    is_word = are_letters_alike(tidy(answer), tidy(reference))
    if is_word is not None:
        return _verdict(is_word)
    try:
        with _ONE_AT_A_TIME:
            return _verdict(sameness.equal(*_forms(answer, reference)))
    except UnreadableError:
        return None if _is_for_math_verify(answer, reference) else "different"
    except TooBigError:
        return None


def _forms(*answers: str) -> list[Form]:
    """Return the forms of answers; that one is unreadable comes before that one is too big."""
    forms: list[Form] = []
    problem: TooBigError | None = None
    for answer in answers:
        try:
            forms.append(read(answer))
        except TooBigError as error:
            problem = error
    if problem is not None:
        raise problem
    return forms


def _verdict(is_equal: bool) -> Equality:
    return "equal" if is_equal else "different"


def _plain_number(text: str) -> Fraction | None:
    """Return the value of a decimal or a fraction, None of all else; what most answers are."""
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    sign, whole, part, top, bottom, over, under = match.groups()
    if whole is not None:
        value = Fraction(whole.replace(",", "") + (part or ""))
    elif int(bottom or under) == 0:
        return None
    else:
        value = Fraction(int(top or over), int(bottom or under))
    return -value if sign else value


def _is_for_math_verify(answer: str, reference: str) -> bool:
    texts = [_SUBSCRIPT.sub("", tidy(text)) for text in (answer, reference)]
    return any(map(_BEYOND.search, texts)) and not any(map(_NOT_ITS.search, texts))


def compare_numbers(answer: str | None, reference: str) -> Equality:
    """Return the verdict where the reference is a number, so that math-verify is not needed.

    An answer that is no plain number differs; numbers that are not whole may be rounded to six
    decimals.
    """
    left, right = parse_number(answer or ""), parse_number(reference)
    if left is None or right is None:
        return "different"
    if left.denominator == right.denominator == 1:
        return _verdict(left == right)
    return _verdict(abs(left - right) <= ROUNDING)


def compare(answer: str | None, reference: str) -> Equality:
    """Return whether two answers are equal, by one checker that all callers share."""
    return shared_checker().compare(answer, reference)


@lru_cache(maxsize=1)
def shared_checker() -> AnswerChecker:
    """Return the process-wide checker; its worker ends with the process."""
    checker = AnswerChecker()
    atexit.register(checker.close)
    return checker
