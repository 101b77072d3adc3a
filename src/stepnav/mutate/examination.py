"""One problem from its reference to its findings: mutate, run, fuzz, look for repairs, decide.

Everything is drawn from the campaign's seed and the task id, so a problem gives the same findings
whatever else is examined, in whatever order, on however many processes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stepnav.core.errors import DataError
from stepnav.core.seeds import derive_seed
from stepnav.mutate.findings import Finding, ProblemReport
from stepnav.mutate.labels import (
    DROPS,
    MIN_FUZZ_INPUTS,
    Drop,
    MutantVerdict,
    Observation,
    Repair,
    decide,
)
from stepnav.mutate.laboratory import CONFIRM_FACTOR, Domain, Laboratory, cpu_limit_s
from stepnav.mutate.operators.table import Mutant, mutants
from stepnav.mutate.program.bytecode import fingerprint
from stepnav.mutate.program.edit import Edit, apply_edits
from stepnav.mutate.program.rewrites import decoys
from stepnav.mutate.program.source import Source, parse
from stepnav.mutate.program.steps import Split, split_steps
from stepnav.mutate.reference import Reference
from stepnav.sandbox.records import Status
from stepnav.tasks.inputs.calls import known_calls
from stepnav.tasks.inputs.fuzz import fuzz_inputs

NUM_FUZZ_INPUTS = 300
"""Inputs drawn; at least `MIN_FUZZ_INPUTS` of them must lie in the reference's domain."""

MAX_FUZZ_INPUTS = 204
"""Inputs used: a few more than needed, as some may not give the same value twice."""

PROBE_INPUTS = 24
"""So many are tried first; most programs that differ at all differ on one of them."""

FUZZ_FACTOR = 4
"""Limits for further inputs are so much wider than for the tests; running out is a difference."""

NO_REPAIRS = frozenset({"statement_deletion", "string", "call_deletion"})
"""Operators whose edits are not tried as repairs: they take away what a program needs."""

SECOND_ORDER = "second_order"
REFERENCE = "none"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a campaign makes of each problem.

    Attributes:
      seed: all draws depend on it.
      decoys: how many rewrites per problem.
      second_order: how many mutants with two edits per problem.
      repairs: how many later edits are tried as a repair of each killed mutant.
    """

    seed: int = 0
    decoys: int = 0
    second_order: int = 0
    repairs: int = 12


@dataclass(slots=True)
class Examination:
    """One problem while it is examined.

    Attributes:
      reference: the trusted program.
      laboratory: where programs are run.
      settings: the campaign's.
      source, split: the reference parsed and cut.
      cpu_s: CPU limit of one program on the tests.
      domain: further inputs with the reference's values; None if there are too few.
      findings: the programs that become records.
      dropped: "operator/reason" -> count.
      num_judged: programs run so far.
    """

    reference: Reference
    laboratory: Laboratory
    settings: Settings
    source: Source
    split: Split
    cpu_s: float
    domain: Domain | None = None
    findings: list[Finding] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    num_judged: int = 0

    def draw(self, purpose: str) -> random.Random:
        """Return a generator for one purpose, seeded by campaign, problem and purpose."""
        return random.Random(derive_seed(self.settings.seed, self.reference.task_id, purpose))

    def text(self, edits: Sequence[Edit]) -> str:
        """Return the reference's text after edits."""
        return apply_edits(self.source.text, edits)

    def test(self, texts: Sequence[str], purpose: str) -> list[Status]:
        """Return how programs did on the tests; they are run in an order drawn for the purpose."""
        order = list(range(len(texts)))
        self.draw(purpose).shuffle(order)
        verdicts = self.laboratory.test([texts[n] for n in order], self.cpu_s) if order else []
        self.num_judged += len(order)
        status = {n: verdict.status for n, verdict in zip(order, verdicts, strict=True)}
        return [status[n] for n in range(len(texts))]

    def keep(self, finding: Finding, verdict: MutantVerdict | Drop) -> None:
        """Add a finding under its verdict, or count it as left out."""
        if verdict in DROPS:
            self.dropped[f"{finding.operator}/{verdict}"] += 1
        else:
            self.findings.append(replace(finding, verdict=verdict))  # type: ignore[arg-type]


def examine(
    reference: Reference, laboratory: Laboratory, settings: Settings, *, number: int = 0
) -> ProblemReport:
    """Return what was found about one problem; one that cannot be used has its `error` set."""
    try:
        source = parse(reference.source)
        split = split_steps(source)
        if not split.steps:
            raise DataError("the program has no step after its header; there is nothing to label")
        limit = cpu_limit_s(laboratory.try_reference())
    except DataError as error:
        return unusable(reference, number, str(error))
    work = Examination(reference, laboratory, settings, source, split, limit)
    work.num_judged = 1
    _find_inputs(work)
    work.findings.append(Finding(REFERENCE, "reference", (), len(split.steps) - 1))
    _examine_mutants(work)
    _examine_decoys(work)
    _examine_second_order(work)
    return replace(
        _empty(reference, number),
        findings=tuple(work.findings),
        dropped=dict(sorted(work.dropped.items())),
        num_judged=work.num_judged,
        level=laboratory.level,
    )


def unusable(reference: Reference, number: int, reason: str) -> ProblemReport:
    """Return the report of a problem that cannot be used."""
    return replace(_empty(reference, number), error=" ".join(reason.split()))


def _empty(reference: Reference, number: int) -> ProblemReport:
    return ProblemReport(
        number, reference.task_id, reference.split, reference.preamble, reference.source
    )


def _find_inputs(work: Examination) -> None:
    """Find further inputs in the reference's domain."""
    reference = work.reference
    names = (reference.entry_point, "candidate")
    known = known_calls([reference.setup, reference.test, reference.examples], names)
    seed = derive_seed(work.settings.seed, work.reference.task_id)
    drawn = fuzz_inputs(known, NUM_FUZZ_INPUTS, seed=seed)
    domain = work.laboratory.domain(drawn, MAX_FUZZ_INPUTS)
    work.domain = domain if len(domain.inputs) >= MIN_FUZZ_INPUTS else None


def _examine_mutants(work: Examination) -> None:
    """Find the verdict of every single mutant."""
    every = mutants(work.source, work.split)
    original = fingerprint(work.source.text)
    texts = [work.text([mutant.edit]) for mutant in every]
    seen = [Observation(same_bytecode=fingerprint(text) == original) for text in texts]
    seen = _observe(work, texts, seen, "mutants")
    repairs = _find_repairs(work, every, seen)
    for number, mutant in enumerate(every):
        observation = replace(seen[number], repair=repairs.get(number))
        finding = Finding(mutant.operator, "killed", (mutant.edit,), mutant.step)
        work.keep(finding, decide(observation))


def _observe(
    work: Examination, texts: Sequence[str], seen: Sequence[Observation], purpose: str
) -> list[Observation]:
    """Return the observations of programs with all that running them tells."""
    found = list(seen)
    pending = [n for n, observation in enumerate(found) if not observation.same_bytecode]
    for n, status in zip(pending, work.test([texts[n] for n in pending], f"{purpose}/first")):
        found[n] = replace(found[n], first=status)
    again = [n for n in pending if found[n].first != "timeout"]
    for n, status in zip(again, work.test([texts[n] for n in again], f"{purpose}/again")):
        found[n] = replace(found[n], again=status)
    for n in pending:
        if found[n].first == "timeout":
            found[n] = replace(found[n], confirmed=_is_endless(work, texts[n]))
        elif found[n].first == "passed":
            found[n] = replace(found[n], same_values=_gives_same_values(work, texts[n]))
    return found


def _is_endless(work: Examination, text: str) -> bool:
    """Return whether a program also runs out of ten times its limit, alone."""
    work.num_judged += 1
    return work.laboratory.test([text], CONFIRM_FACTOR * work.cpu_s)[0].status == "timeout"


def _gives_same_values(work: Examination, text: str) -> bool | None:
    """Return whether a program gives the reference's values; None if there are too few inputs."""
    domain = work.domain
    if domain is None:
        return None
    work.num_judged += 1
    limit = FUZZ_FACTOR * cpu_limit_s(domain.cpu_s)
    for part in (slice(0, PROBE_INPUTS), slice(PROBE_INPUTS, None)):
        values = work.laboratory.values(text, domain.inputs[part], limit)
        if tuple(values) != domain.values[part]:
            return False
    return True


def _find_repairs(
    work: Examination, every: Sequence[Mutant], seen: Sequence[Observation]
) -> dict[int, Repair]:
    """Return which killed mutants a later single edit makes right, or seems to."""
    pairs: list[tuple[int, str]] = []
    for number, observation in enumerate(seen):
        if decide(observation) == "killed":
            for other in _later_edits(work, every, seen, number):
                pairs.append((number, work.text([every[number].edit, every[other].edit])))
    statuses = work.test([text for _, text in pairs], "repairs")
    found: dict[int, Repair] = {}
    for (number, text), status in zip(pairs, statuses):
        if status == "passed" and found.get(number) != "confirmed":
            same = _gives_same_values(work, text)
            if same is not False:  # a program that further inputs tell apart is no repaired one
                found[number] = "confirmed" if same else "unconfirmed"
    return found


def _later_edits(
    work: Examination, every: Sequence[Mutant], seen: Sequence[Observation], number: int
) -> list[int]:
    """Return the mutants whose edits may repair one: in a later step, and not endless."""
    later = [
        n
        for n, other in enumerate(every)
        if other.step > every[number].step
        and other.operator not in NO_REPAIRS
        and seen[n].first not in ("timeout", None)
    ]
    count = min(len(later), work.settings.repairs)
    return sorted(work.draw(f"repairs/{number}").sample(later, count))


def _examine_decoys(work: Examination) -> None:
    """Find which rewrites keep the meaning."""
    every = decoys(work.source, work.split)
    count = min(len(every), work.settings.decoys)
    chosen = [every[n] for n in sorted(work.draw("decoys").sample(range(len(every)), count))]
    texts = [work.text(decoy.edits) for decoy in chosen]
    original = fingerprint(work.source.text)
    seen = [Observation(same_bytecode=fingerprint(text) == original) for text in texts]
    for decoy, observation in zip(chosen, _observe(work, texts, seen, "decoys")):
        is_right = decide(observation) in ("equivalent", "survived")
        finding = Finding(decoy.rewrite, "decoy", decoy.edits, decoy.step)
        work.keep(finding, "decoy" if is_right else "decoy_not_confirmed")


def _examine_second_order(work: Examination) -> None:
    """Find mutants whose first edit is harmless and whose second one, in a later step, is not."""
    harmless = [f for f in work.findings if f.verdict in ("survived", "equivalent", "decoy")]
    wrong = [f for f in work.findings if f.verdict == "killed"]
    pairs = [
        (first, second)
        for first in harmless
        for second in wrong
        if max(work.split.step_at(edit.start) or 0 for edit in first.edits) < second.step
    ]
    count = min(len(pairs), work.settings.second_order)
    chosen = [pairs[n] for n in sorted(work.draw("pairs").sample(range(len(pairs)), count))]
    texts = [work.text([*first.edits, *second.edits]) for first, second in chosen]
    seen = _observe(work, texts, [Observation() for _ in texts], "second_order")
    for (first, second), observation in zip(chosen, seen):
        neutral = first.step if first.verdict == "survived" else None
        finding = Finding(
            SECOND_ORDER, "killed", (*first.edits, *second.edits), second.step, neutral
        )
        is_wrong = decide(observation) == "killed"
        work.keep(finding, "killed" if is_wrong else "second_order_not_killed")
