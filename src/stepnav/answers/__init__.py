"""Answers: finding them in text and deciding whether two are equal."""

from stepnav.answers.canonical import canonical
from stepnav.answers.equal import AnswerChecker, compare, compare_fast, compare_numbers
from stepnav.answers.extract import as_answer, extract_answer
from stepnav.answers.pool import Equality

__all__ = [
    "AnswerChecker",
    "Equality",
    "as_answer",
    "canonical",
    "compare",
    "compare_fast",
    "compare_numbers",
    "extract_answer",
]
