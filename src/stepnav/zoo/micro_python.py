"""The micro-python domain: small functions, and step labels from running programs, without people.

The reward model learns from mutants of the references (`stepnav.mutate`): their tests say which are
wrong, and the place of the change says from which step on. Mutants alone do not prepare it for what
a policy gets wrong (a whole part forgotten, a number from elsewhere), so it also learns from the
policy's own samples. Whether their steps can still become right is undecidable; they are taken for
right as long as the rest of the reference makes a passing program of them.

It is measured on samples and on mutants of held-out references, two operators among them that
training never saw.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from stepnav.core.records import Problem
from stepnav.labels.records import StepRecord
from stepnav.mutate.examination import Settings, examine
from stepnav.mutate.laboratory import SandboxLaboratory
from stepnav.mutate.records import MutationRecord, make_records
from stepnav.mutate.reference import Reference
from stepnav.sandbox.pool import Sandbox
from stepnav.tasks.micro_python import problems as micro_python
from stepnav.zoo.checked import GATE_SAMPLES
from stepnav.zoo.domain import Cards, Count, Domain, HeldOut, Sampler
from stepnav.zoo.programs import passes, remarked, spliced
from stepnav.zoo.scale import TINY, Scale
from stepnav.zoo.tokenizer import CODE_PATTERN

HELD_OUT_OPERATORS = frozenset({"off_by_one", "operand_deletion"})
"""Never trained on."""

MUTANTS_PER_PROBLEM = 8
"""Records kept of a problem's mutants, the reference included."""

REPAIRS = 4
"""Later edits that are tried as a repair of each killed mutant."""

MUTATED_PROBLEMS = 40
"""Held-out references whose mutants the reward model is measured on."""

REMARK = "remark (a comment or a statement without effect)"
"""Kind of the references with lines that they do not need."""

SCALES: dict[str, Scale] = {
    "cpu": Scale(
        lm_problems=60_000,
        lm_tokens=14_000_000,
        snapshot_tokens=500_000,
        policy_tokens=9_500_000,
        search_problems=0,
        prm_tokens=400_000,
        prm_dropout=0.1,
        prm_negative_bias=2.5,
        prm_neutral_bias=2.5,
        label_problems=600,
        shard_problems=200,
        samples_per_problem=4,
        temperatures=(1.0, 1.0, 1.0, 0.7),
    ),
    "tiny": replace(
        TINY,
        label_problems=4,
        shard_problems=2,
        samples_per_problem=1,
        search_problems=0,
        eval_problems=3,
    ),
}
"""`cpu` makes the shipped models, `tiny` useless ones in seconds."""


def label(
    problems: Sequence[Problem], sample: Sampler, seed: int, progress: Count
) -> list[StepRecord]:
    """Return references, mutants and the policy's samples, step by step.

    Mutants of operators that are held out are not among them. Of each problem `MUTANTS_PER_PROBLEM`
    are kept, drawn so that operators and steps are alike frequent.
    """
    groups = sample(problems, lambda done, total: progress(done, 2 * total))
    records: list[StepRecord] = []
    with Sandbox() as sandbox:
        for number, (problem, group) in enumerate(zip(problems, groups, strict=True)):
            progress(len(problems) + number, 2 * len(problems))
            records += remarked(sandbox, problem, seed)
            found = [
                r for r in mutate(sandbox, problem, seed) if r.operator not in HELD_OUT_OPERATORS
            ]
            chosen = spread(found, MUTANTS_PER_PROBLEM, random.Random(f"{seed}/{problem.id}"))
            records += [step_record(problem, record) for record in chosen]
            records += [spliced(sandbox, problem, text) for text in dict.fromkeys(group) if text]
    return records


def hold_out(
    problems: Sequence[Problem], groups: Sequence[Sequence[str]], seed: int, progress: Count
) -> list[HeldOut]:
    """Return mutants of held-out references by operator, and the policy's own samples."""
    mutants: list[StepRecord] = []
    kinds: list[str] = []
    samples: list[StepRecord] = []
    with Sandbox() as sandbox:
        for number, (problem, group) in enumerate(zip(problems, groups, strict=True)):
            progress(number, len(problems))
            samples += [spliced(sandbox, problem, text) for text in group[:GATE_SAMPLES] if text]
            remarks = remarked(sandbox, problem, seed)
            mutants += remarks
            kinds += [REMARK] * len(remarks)
            if number < MUTATED_PROBLEMS:
                found = mutate(sandbox, problem, seed)
                chosen = spread(found, MUTANTS_PER_PROBLEM, random.Random(f"{seed}/{problem.id}"))
                mutants += [step_record(problem, record) for record in chosen]
                kinds += [kind_of(record.operator) for record in chosen]
    return [HeldOut("samples", samples), HeldOut("mutants", mutants, kinds)]


def kind_of(operator: str) -> str:
    """Return the name of an operator in the tables."""
    if operator == "none":
        return "none (the reference)"
    return f"{operator} (never trained on)" if operator in HELD_OUT_OPERATORS else operator


def mutate(sandbox: Sandbox, problem: Problem, seed: int) -> list[MutationRecord]:
    """Return the reference of a problem and all its mutants that have a verdict."""
    suite = micro_python.suite_of(problem)
    assert suite is not None and suite.reference is not None, "a drawn problem has tests"
    reference = Reference(
        task_id=problem.id,
        preamble="",
        source=suite.reference,
        test=suite.test,
        entry_point=suite.entry_point,
        style="mbpp",
    )
    outcome = examine(
        reference, SandboxLaboratory(sandbox, reference), Settings(seed=seed, repairs=REPAIRS)
    )
    return make_records(outcome, seed=seed, held_out=frozenset())


def spread(
    records: Sequence[MutationRecord], count: int, rng: random.Random
) -> list[MutationRecord]:
    """Return the reference and `count` - 1 mutants, spread over operators and steps."""
    reference = [record for record in records if record.step is None]
    left = [record for record in records if record.step is not None]
    rng.shuffle(left)
    taken: dict[object, int] = {}
    chosen: list[MutationRecord] = []
    while left and len(chosen) < count - len(reference):
        best = min(
            left,
            key=lambda r: (
                taken.get(r.operator, 0) + taken.get(r.step, 0),
                taken.get(r.operator, 0),
            ),
        )
        left.remove(best)
        chosen.append(best)
        taken[best.operator] = taken.get(best.operator, 0) + 1
        taken[best.step] = taken.get(best.step, 0) + 1
    return [*reference, *chosen]


def step_record(problem: Problem, record: MutationRecord) -> StepRecord:
    """Return a mutant as the policy would have written it: one step a line, after the question."""
    steps: list[str] = []
    labels: list[int | None] = []
    wrong_from: list[int | None] = []
    for text, label, start in zip(
        record.completions, record.labels, record.wrong_from, strict=True
    ):
        for line, line_label, line_start in lines_of(text, label, start):
            steps.append(line)
            labels.append(line_label)
            wrong_from.append(line_start)
    return StepRecord(problem.question, tuple(steps), tuple(labels), tuple(wrong_from))


def lines_of(
    text: str, label: int | None, wrong_from: int | None
) -> Iterator[tuple[str, int | None, int | None]]:
    """Yield a step's lines; those before the changed one are right, those after it masked."""
    start = 0
    for line in text.splitlines(keepends=True):
        end = start + len(line)
        if wrong_from is None:
            yield line, label, None
        elif end <= wrong_from:
            yield line, 1, None
        elif start <= wrong_from:
            yield line, label, wrong_from - start
        else:
            yield line, None, None
        start = end


def grade(problems: Sequence[Problem], solutions: Sequence[str]) -> list[bool]:
    """Return whether each solution passes all tests of its problem."""
    with Sandbox() as sandbox:
        return passes(sandbox, problems, solutions)


DOMAIN = Domain(
    name="micro-python",
    scales=SCALES,
    prompt_template=micro_python.PROMPT_TEMPLATE,
    separator=micro_python.SEPARATOR,
    answer_pattern=micro_python.ANSWER_PATTERN,
    token_pattern=CODE_PATTERN,
    problem=micro_python.problem,
    question=micro_python.question_of,
    solve=micro_python.solve,
    load=micro_python.load,
    grade=grade,
    label=label,
    hold_out=hold_out,
    cards=Cards(
        policy="""\
A Llama-architecture language model, trained from scratch, that writes small Python functions line \
by line, and often gets
them wrong.""",
        prm="""\
It rates each line of a function as negative (no right program begins like this), neutral \
(changed, but no difference can
be observed) or positive (right).""",
        data="""\
Small functions from the package's own generator (`stepnav.tasks.micro_python`): a loop over \
numbers, digits, characters or
words, 1 to 3 things done to each, and what they come to. The hash of the reference \
program decides whether it belongs to
train, dev or test, so that no test function is ever drawn in training, in whatever words.""",
        labels="""\
The labels come from running programs for functions that the language model had not seen \
({solutions} programs, {steps}
steps). Mutants of the references: those killed by the tests are wrong from the changed \
line on, those that neither the tests
nor 200 further inputs tell apart are neutral; two operators were kept out of \
training. The policy's own samples (temperatures
{temperatures}): a line is right as long as the rest of the reference makes a passing program.""",
        held_out={
            "samples": "The policy's own samples at temperature 1; a line is right as long as the "
            "rest of the reference makes a passing program",
            "mutants": "Mutants of the references, by operator and by line",
        },
        limits="""\
The models know these functions and nothing else. They are meant for trying search \
methods on code offline, for tests and
for teaching, not for writing programs.""",
    ),
)
