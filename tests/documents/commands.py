"""The commands that the documents show, and how each is run by the tests."""

from __future__ import annotations

import contextlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
PROGRAMS = (
    "curl",
    "docker",
    "inspect",
    "lm_eval",
    "make",
    "pip",
    "python",
    "stepnav",
    "torchrun",
    "vllm",
)
SHELLS = ("bash", "console", "sh", "shell")

NOT_RUN = {
    "Qwen/Qwen2.5-Math-PRM-7B": "fetches 14 GB from the hub",
    "--reward http://localhost:8001": "needs vLLM; tests/rewards/remote/test_vllm.py has it",
    "vllm serve": "needs vLLM; tests/rewards/remote/test_vllm.py has it",
    "torchrun": "several processes; tests/train/test_distributed.py has it",
    "vllm:": "needs vLLM; tests/policies/test_vllm.py has it",
    "--run runs/dev": "needs a graded run of nav; tests/cli/test_calibrate.py has one",
    "--ray": "needs a cluster; tests/cli/test_ray.py has a small one",
    "runs/part-": "parts of one run; tests/cli/test_merge.py has them",
    "--report-to": "needs a tracker; tests/measure/test_trackers.py has one",
    "stepnav tune": "an hour; tests/cli/test_tune.py has a small one",
    "--tuned": "needs what an hour's tuning makes; tests/cli/test_tune.py has it",
    "inspect eval": "needs inspect_ai; tests/harness/test_inspect.py has it",
    "inspect view": "needs inspect_ai, and serves until it is stopped",
    "lm_eval run": "needs lm-eval; tests/harness/test_lm_eval.py has it",
    "train grpo": "needs TRL; tests/cli/test_train_rl.py has it",
    "recipes/published.py": "needs vLLM; tests/test_published.py drives it with small models",
    "docker compose": "needs the engine and GPUs; the file is checked by its schema",
    "benchmarks/mutation.py full": "22 minutes, and MBPP's file",
    "make": "the targets are what CI runs, and what these tests run in",
    "pip install": "the extras are compared with pyproject.toml",
}
"""Part of a command -> why no test runs it; its options are checked all the same."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a document, as it stands there but for its comment.

    Attributes:
      document: the file's name.
      text: the line, or several joined ones.
    """

    document: str
    text: str

    @property
    def words(self) -> list[str]:
        """The words that a shell makes of it."""
        return shlex.split(self.text)

    @property
    def reason(self) -> str | None:
        """Why no test runs it; None if one does."""
        return next((why for part, why in NOT_RUN.items() if part in self.text), None)


def _blocks(text: str) -> list[str]:
    """Return the indented blocks of a document, and the fenced ones that name a shell."""
    fenced = re.findall(rf"^```(?:{'|'.join(SHELLS)})\n(.*?)^```", text, re.M | re.S)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    indented = re.findall(r"(?:(?<=\n\n)|\A)((?: {4}.*\n|\n(?= {4}))+)", rest)
    return [*fenced, *(re.sub(r"^ {4}", "", block, flags=re.M) for block in indented)]


def _without_comment(line: str) -> str:
    """Return a command without the comment behind it; a `#` within quotes begins none."""
    for found in re.finditer(r"\s+#\s", line):
        with contextlib.suppress(ValueError):  # a quote is open
            shlex.split(line[: found.start()])
            return line[: found.start()].strip()
    return line.strip()


def commands_of(document: Path) -> list[Command]:
    """Return the commands of a document, in their order."""
    found = []
    for block in _blocks(document.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            text = _without_comment(line.removeprefix("$ "))
            if text.split(" ")[0] in PROGRAMS:
                found.append(Command(document.name, text))
    return found


def all_commands() -> list[Command]:
    """Return each command once, with the first document that shows it."""
    found: dict[str, Command] = {}
    for document in DOCUMENTS:
        for command in commands_of(document):
            found.setdefault(command.text, command)
    return list(found.values())
