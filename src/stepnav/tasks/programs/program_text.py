r"""What the code tasks share of a program's text: where it ends, its steps, its canonical form.

A completion is the body of a function whose header stands in the question, indented as there; or,
where a chat model writes it all, a whole program that starts in the first column. Nothing here runs
a program.
"""

from __future__ import annotations

import ast
import codeop
import io
import re
import tokenize
import warnings
from collections.abc import Callable, Sequence

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint", "\n@", "\nassert", "\n```", "\n<|")
"""Where a function's body has ended; the first five are of Chen et al. 2021, arXiv 2107.03374."""

PROGRAM_STOPS = ("\nassert", "\nprint", "\nif __name__", '\n"""', "\n```", "\n[DONE]", "\n<|")
"""Where a whole program has ended."""

SCRIPT_STOPS = ("\nQUESTION:", "\n```", "\n[DONE]", "\n<|")
"""Where a program that prints has ended."""

_ATOM = r"""(?:"[^"\n]*"|'[^'\n]*'|[^][(){}'"\\#\n])"""
_BALANCED = rf"{_ATOM}*"
for _ in range(4):  # brackets within brackets
    _BALANCED = rf"(?:{_ATOM}|[\[({{]{_BALANCED}[\])}}])*"

RETURN = rf"(?: {{4}}|\t)return\b{_BALANCED}(?:#[^\n]*)?(?:\n|$)"
"""A return at the body's own depth that is whole on its line, after which nothing runs.

One that cannot be told to be whole is none: the body then ends with the next text in the first
column."""

MAX_CHARACTERS = 50_000
"""Longer texts are no program."""

_FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(\n```|\Z)", re.DOTALL)
_DOCSTRING = re.compile(r'(?:\s|#[^\n]*\n|```(?:python|py)?[ \t]*\n)*[rR]?""".*?"""', re.DOTALL)
"""A program's own docstring, with comments before it."""
_CLAUSE = re.compile(r"\s*(?:else\s*|finally\s*|except\b.*|case\b.*):\s*(?:#.*)?$")


def is_whole_program(text: str) -> bool:
    """Return whether a completion starts in the first column, so that it is no body."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return not first[:1].isspace() and first != ""


def cut_body(text: str) -> str:
    r"""Return the text up to the end of the function's body.

    Example:
      >>> cut_body("    return x\n\nprint(solve(3))\n")
      '    return x\n\n'
    """
    return _cut(text, STOPS)


def cut_program(text: str) -> str:
    """Return the text up to the end of a whole program, which its own docstring is not."""
    docstring = _DOCSTRING.match(text)
    return _cut(text, PROGRAM_STOPS, docstring.end() if docstring else 0)


def cut_script(text: str) -> str:
    """Return the text up to the end of a program that prints."""
    return _cut(text, SCRIPT_STOPS)


def unfenced(text: str) -> str:
    """Return the longest fenced block of a chat answer, the text itself if it has none."""
    return _longest_block(text)[0]


def program_in(text: str, cut: Callable[[str], str]) -> str:
    r"""Return the program of an answer: its longest fenced block, as it is if the fence is closed.

    Args:
      text: the answer; all of it is the program if it has no fence.
      cut: finds the end of a program that no fence closes.
    Example:
      >>> program_in("```python\nx = 1\nprint(x)\n```\nIt prints 1.", cut_program)
      'x = 1\nprint(x)'
    """
    program, is_closed = _longest_block(text)
    return program if is_closed else cut(program)


def with_preamble(preamble: str, program: str) -> str:
    r"""Return a whole program behind what the prompt sets up for it: imports and helper functions.

    Example:
      >>> with_preamble("import math\n", "from __future__ import annotations\nx = math.pi\n")
      'from __future__ import annotations\nimport math\nx = math.pi\n'
    """
    tree = parse(program)
    futures = [
        node.end_lineno or 0
        for node in (tree.body if tree is not None else [])
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    lines = program.splitlines(keepends=True)
    first = max(futures, default=0)  # such imports must come first
    return "".join([*lines[:first], preamble, *lines[first:]])


def parse(source: str) -> ast.Module | None:
    """Return the syntax tree, None if the text is no program; never raises."""
    if len(source) > MAX_CHARACTERS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def canonical_body(text: str, header: str) -> str | None:
    r"""Return a body in canonical layout, None if it does not parse or returns nothing.

    Args:
      text: the body, indented.
      header: the function's first line.
    Example:
      >>> canonical_body("    return(x+1)  # done\n", "def solve(x):")
      '    return x + 1\n'
    """
    tree = parse(f"{header}\n{text}\n")
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        return None
    if not any(isinstance(node, ast.Return) for node in ast.walk(tree)):
        return None
    program = _unparsed(tree)
    return None if program is None else program.partition("\n")[2]


def canonical_program(text: str, entry_point: str) -> str | None:
    """Return a program in canonical layout, None if it does not parse or lacks the entry point."""
    tree = parse(text)
    if tree is None or not any(
        isinstance(node, ast.FunctionDef) and node.name == entry_point for node in tree.body
    ):
        return None
    return _unparsed(tree)


def parses_so_far(program: str) -> bool:
    """Return whether more text could make this a program, as far as its syntax tells."""
    if len(program) > MAX_CHARACTERS:
        return False
    if parse(program) is not None:
        return True
    try:
        codeop.compile_command(program.rstrip("\n"), "<program>", "exec")
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return False
    return True


def split_statements(text: str) -> list[str]:
    r"""Return a completion's steps; joined they give the text again.

    A step is a simple statement or the header of a compound one, with the blank lines, comments and
    `else:`, `except:`, `finally:` or `case` lines before it, as where mutants are made. Text that
    is not finished, or is no Python, is split at its lines from there on.

    Example:
      >>> split_statements("    if x:\n        return [\n            1]\n    return 2\n")
      ['    if x:\n', '        return [\n            1]\n', '    return 2\n']
    """
    lines = text.splitlines(keepends=True)
    ends = _logical_ends(text, len(lines))
    steps: list[str] = []
    waiting, has_statement = "", False
    for number, line in enumerate(lines, 1):
        waiting += line
        has_statement = has_statement or not _belongs_to_next(line)
        if number in ends and has_statement:
            steps.append(waiting)
            waiting, has_statement = "", False
    if waiting.strip() or not steps:
        return [*steps, waiting] if waiting else steps
    return [*steps[:-1], steps[-1] + waiting]


def _unparsed(tree: ast.Module) -> str | None:
    try:
        return ast.unparse(tree) + "\n"
    except (RecursionError, ValueError):
        return None


def _longest_block(text: str) -> tuple[str, bool]:
    """Return the longest fenced block, or else the text, and whether a fence closes it."""
    blocks = [(match[1], bool(match[2])) for match in _FENCE.finditer(text)]
    return max(blocks, key=lambda block: len(block[0]), default=(text, False))


def _cut(text: str, stops: Sequence[str], start: int = 0) -> str:
    found = [place for stop in stops if (place := text.find(stop, start)) >= 0]
    return text[: min(found) + 1] if found else text


def _belongs_to_next(line: str) -> bool:
    """Return whether a line is blank, a comment or a bare clause."""
    text = line.strip()
    return not text or text.startswith("#") or _CLAUSE.match(line) is not None


def _logical_ends(text: str, num_lines: int) -> set[int]:
    """Return the numbers of the lines that end a logical line, from 1.

    From where it cannot be told, that is all lines.
    """
    ends: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NEWLINE:
                ends.add(token.end[0] if token.string else token.start[0])
    except (tokenize.TokenError, SyntaxError, ValueError):
        ends.update(range(max(ends, default=0) + 1, num_lines + 1))
    return ends
