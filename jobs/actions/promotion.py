"""What has to be proved elsewhere before a run may start: a verified run in the environment before this one.

Verified means that the run's last verification passed. The run may have been rolled back since: teams roll staging
back to repeat it, and that this mapping was proved on these tables stays true.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, OuterRef, Q, Subquery, Window
from django.db.models.functions import RowNumber

from jobs import clock, states
from jobs.models import Report, Run
from mappings.catalog.fingerprints import TableStructure, between_environments
from mappings.models import Environment
from mappings.plan.codec import from_plain
from mappings.plan.model import Plan
from mappings.planning.drift import told
from mappings.planning.environment_identity import Places, place, places, shared_target
from mappings.problems import Problem

MOST_RUNS = 100
"""How many runs are looked at; of more than that in the days that count, the newest will do."""

PATH = "environment"
"""Where the problems are that this room finds; what an earlier look said is known by it."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One run of a mapping as evidence. verified: when its last verification passed, None if it did not pass."""

    run: Run
    sha256: str
    places: Places
    tables: frozenset[str]
    verified: datetime | None

    @property
    def is_of_what_was_rolled_back(self) -> bool:
        return self.run.status == states.ROLLED_BACK

    @property
    def is_fresh(self) -> bool:
        """Whether its verification still counts for the environments that come after."""
        return self.verified is not None and clock.now() - self.verified <= longest_age()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be run. places: where the environment before leads to; it and the plan are None if not looked at."""

    mapping: str
    revision: int
    sha256: str
    tables: frozenset[str]
    places: Places | None = None
    plan: Plan | None = None

    def __str__(self) -> str:
        return f"revision {self.revision} ({self.sha256[:8]}) of {self.mapping}"


def longest_age() -> timedelta:
    """How old a verification may be to count for the next environment."""
    return timedelta(days=settings.PROMOTION_DAYS)


def with_approvals(plan: Plan, environment: Environment) -> Plan:
    """The plan with what is missing as a blocker, and with a warning where the environment leads elsewhere now.

    What an earlier look at the same plan said is replaced: a reviewed plan may be looked at again before its start.
    """
    blockers = (problem for problem in plan.blockers if problem.path != PATH)
    warnings = (problem for problem in plan.warnings if problem.path != PATH)
    return replace(
        plan,
        blockers=(*blockers, *missing(plan, environment)),
        warnings=(*warnings, *moved(plan, environment)),
    )


def missing(plan: Plan, environment: Environment) -> list[Problem]:
    """What stands against a start of the plan: nothing, or one sentence."""
    before = environment.after
    if before is None:
        return []
    if shared := shared_target(environment):
        return [Problem(PATH, shared[0].text)]
    leads_to = places(before) or _last_places(before)
    wanted = Wanted(plan.mapping, plan.revision, plan.sha256, frozenset(plan.selected), leads_to, plan)
    text = lacking(wanted, before, proofs_of(plan.mapping, before))
    return [Problem(PATH, text)] if text else []


def moved(plan: Plan, environment: Environment) -> list[Problem]:
    """Whether the environment leads to other databases than in its last run, whatever its addresses say."""
    last = Run.objects.filter(environment=environment).defer("plan").order_by("-id").first()
    if last is None or _last_places(environment) == _pair(plan.source_identity, plan.target_identity):
        return []
    text = f"{environment} leads to other databases than in run {last.pk}"
    return [Problem(PATH, f"{text}; what was verified in those does not count any more")]


def proofs_of(mapping: str, environment: Environment) -> list[Proof]:
    """The last runs of a mapping in an environment as evidence, the newest first."""
    runs = Run.objects.filter(mapping__name=mapping, environment=environment)
    return _proofs(runs.order_by("-id").values("pk")[:MOST_RUNS])


def proofs_of_all(mappings: Mapping[int, str]) -> dict[tuple[int, int], list[Proof]]:
    """The same of many mappings in every environment, in two queries: by mapping and environment, the newest first.

    mappings: by id the sha256 of the revision in question; of other revisions only the last run of a pair is told,
    which is all that `lacking` says of them.
    """
    rank = Window(RowNumber(), partition_by=[F("mapping"), F("environment")], order_by="-id")
    ranked = Run.objects.filter(mapping__in=mappings).annotate(rank=rank)
    told = ranked.filter(Q(rank=1) | Q(rank__lte=MOST_RUNS, plan_sha256__in=set(mappings.values())))
    result: dict[tuple[int, int], list[Proof]] = defaultdict(list)
    for proof in _proofs(list(told.values_list("pk", flat=True))):
        result[proof.run.mapping_id, proof.run.environment_id].append(proof)
    return result


def _proofs(runs: Any) -> list[Proof]:
    """What was planned is taken from a run's plan, not from a revision: that may be changed past the application."""
    last = Report.objects.filter(run=OuterRef("pk")).order_by("-id")
    named = Run.objects.filter(pk__in=runs).select_related("mapping", "revision", "environment")
    light = named.defer("plan", "revision__canonical").order_by("-id")
    reported = light.annotate(
        last_passed=Subquery(last.values("passed")[:1]), last_report=Subquery(last.values("created")[:1])
    )
    return [_proof(run) for run in reported]


def _proof(run: Any) -> Proof:
    holds = run.last_passed and (run.status == states.VERIFIED or run.stage == "undo")
    return Proof(
        run, run.plan_sha256 or "", _pair(run.plan_source or "", run.plan_target or ""),
        frozenset(run.plan_selected or ()), run.last_report if holds else None,
    )  # fmt: skip


def lacking(wanted: Wanted, before: Environment, proofs: Sequence[Proof]) -> str:
    """What is missing in the environment before, as one sentence; '' if nothing is."""
    first = f"{wanted} has to be verified in {before} first"
    if not proofs:
        return f"{first}; {wanted.mapping} was never run there"
    same = [proof for proof in proofs if proof.sha256 == wanted.sha256]
    if not same:
        last = proofs[0]
        return f"{first}; the last run there, {last.run.pk}, was of another revision ({last.sha256[:8]})"
    there = [proof for proof in same if wanted.places in (None, proof.places)]
    if not there:
        return f"{first}; {before} leads to other databases now than in run {same[0].run.pk}"
    good = [proof for proof in there if proof.verified]
    if not good:
        return (
            f"{first}; run {there[0].run.pk} there is {there[0].run.status.replace('_', ' ')}, not verified"
        )
    fresh = [proof for proof in good if proof.is_fresh]
    if not fresh:
        return f"{first}; {_stale(good[0])}"
    return _other_tables(wanted, before, fresh) or _unlike(wanted, before, fresh)


def _stale(proof: Proof) -> str:
    assert proof.verified
    days, again = (clock.now() - proof.verified).days, "run it again"
    if proof.run.status == states.VERIFIED:
        again = f"verify run {proof.run.pk} again"
    return f"its verification there is {days} days old, and counts for {settings.PROMOTION_DAYS} ({again})"


def _other_tables(wanted: Wanted, before: Environment, fresh: Sequence[Proof]) -> str:
    """Runs of some tables only prove those."""
    rest = wanted.tables.difference(*(proof.tables for proof in fresh))
    if not rest:
        return ""
    return f"{wanted} was verified in {before} without {', '.join(sorted(rest))}; run it there with all tables first"


def _unlike(wanted: Wanted, before: Environment, fresh: Sequence[Proof]) -> str:
    """Whether any of the runs was on tables of the same structure."""
    if wanted.plan is None or any(proof.run.fingerprint == wanted.plan.fingerprint for proof in fresh):
        return ""
    last = fresh[0].run
    if not last.fingerprint:
        return f"run {last.pk} in {before} is of before fingerprints of tables were kept; run {wanted} there again"
    was = Run.objects.values_list("plan__structure", flat=True).get(pk=last.pk)
    changes = between_environments(
        [from_plain(TableStructure, table) for table in was], wanted.plan.structure
    )
    return f"the tables are not as they were in {before} in run {last.pk}: {told(changes)}"


def _last_places(environment: Environment) -> Places | None:
    """Where the environment led to in its last run, of whatever mapping."""
    runs = Run.objects.filter(environment=environment).order_by("-id")
    result = runs.values_list("plan_source", "plan_target").first()
    return _pair(*result) if result else None


def _pair(source: str, target: str) -> Places:
    return place(source), place(target)
