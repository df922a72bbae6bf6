"""What the page of promotion shows: each mapping on its way through the environments, and what is missing to go on.

It is made of what runs recorded, without asking any database; the review asks them as they are now.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import asdict, dataclass
from functools import reduce

from django.db.models import Q

from jobs import states
from jobs.actions import promotion
from jobs.actions.promotion import Proof, Wanted
from jobs.models import Run
from jobs.pages.mapping_lists import (
    latest_revisions,
    searched,
    with_present_revision_to_verify,
    with_present_revision_verified,
)
from jobs.pages.overview import in_order
from jobs.pages.paging import Part, part
from mappings.language.canonical import from_canonical
from mappings.models import Environment, Mapping, Revision
from mappings.problems import Refused
from mappings.store import refuse_if_altered

Typed = Dict[str, str]
WAYS_SHOWN = 20
MOST_REMEMBERED = 2000
_TABLES: dict[str, frozenset[str]] = {}


@dataclass(frozen=True, slots=True)
class Stop:
    """One environment on the way. last: the last run there; proof: the last verification of the present revision.

    missing: one sentence, '' where a run may be started as far as is known; unlike: the tables of the last run
    were of another structure than those of the last run in the environment before.
    """

    environment: Environment
    last: Run | None
    proof: Proof | None
    missing: str
    unlike: bool

    @property
    def is_done(self) -> bool:
        """Whether the present revision is verified there, and was not rolled back."""
        return self.proof is not None and self.proof.run.status == states.VERIFIED

    @property
    def active(self) -> Run | None:
        """The run to watch."""
        return self.last if self.last and self.last.is_active else None


@dataclass(frozen=True, slots=True)
class Way:
    """One mapping. revision: the one that would be run, None for a draft; problem: why it cannot be."""

    mapping: Mapping
    revision: Revision | None
    stops: tuple[Stop, ...]
    problem: str = ""

    @property
    def next(self) -> Stop | None:
        """The first environment where the revision is not verified and nothing is missing."""
        return next((stop for stop in self.stops if not stop.is_done and not stop.missing), None)


@dataclass(frozen=True, slots=True)
class PromotionPage:
    """A part of the mappings on their way through the environments."""

    ways: tuple[Way, ...]
    environments: tuple[Environment, ...]
    filters: PromotionFilters
    part: Part[Mapping]


@dataclass(frozen=True, slots=True)
class PromotionFilters:
    """What is asked for. q: a piece of the name or the description; the others name environments.

    done: where the present revision is verified; todo: where it is not.
    """

    q: str = ""
    done: str = ""
    todo: str = ""

    @property
    def any(self) -> bool:
        return bool(self.q or self.done or self.todo)


def promotion_page(filters: PromotionFilters, at: Typed) -> PromotionPage:
    """Mappings with every environment, each behind the one that it comes after; the same queries however many."""
    environments = in_order(list(Environment.objects.select_related("after")))
    named = {one.name: one for one in environments}
    result = searched(Mapping.objects.all(), filters.q)
    if done := named.get(filters.done):
        result = with_present_revision_verified(result, done)
    if todo := named.get(filters.todo):
        result = with_present_revision_to_verify(result, todo)
    shown = part(result, ("name",), WAYS_SHOWN, asdict(filters), at)
    return PromotionPage(_ways(shown.rows, environments), tuple(environments), filters, shown)


def _ways(mappings: Sequence[Mapping], environments: Sequence[Environment]) -> tuple[Way, ...]:
    latest = latest_revisions(mappings)
    parents = _sha256_before(latest.values())
    proofs = promotion.proofs_of_all({key: revision.sha256 for key, revision in latest.items()})
    return tuple(_way(one, latest.get(one.pk), environments, parents, proofs) for one in mappings)


def _sha256_before(revisions: Iterable[Revision]) -> dict[int, str]:
    """By mapping, the sha256 of the revision before each of these."""
    before = [Q(mapping=one.mapping_id, number=one.number - 1) for one in revisions if one.number > 1]
    if not before:
        return {}
    return dict(Revision.objects.filter(reduce(Q.__or__, before)).values_list("mapping_id", "sha256"))


def _way(
    mapping: Mapping,
    revision: Revision | None,
    environments: Sequence[Environment],
    parents: dict[int, str],
    proofs: dict[tuple[int, int], list[Proof]],
) -> Way:
    if revision is None:
        return Way(mapping, None, (), f"{mapping} is a draft: it has no revision yet.")
    try:
        refuse_if_altered(revision, parents.get(mapping.pk))
        tables = _tables_of(revision)
    except Refused as refused:
        return Way(mapping, revision, (), str(refused))
    wanted = Wanted(mapping.name, revision.number, revision.sha256, tables)
    here = {one.pk: proofs.get((mapping.pk, one.pk), []) for one in environments}
    return Way(mapping, revision, tuple(_stop(wanted, one, here) for one in environments))


def _tables_of(revision: Revision) -> frozenset[str]:
    """The names of its tables, remembered by what the revision says: reading one of 300 tables takes its time."""
    if revision.sha256 not in _TABLES:
        if len(_TABLES) >= MOST_REMEMBERED:
            _TABLES.clear()
        spec = from_canonical(json.loads(revision.canonical))
        _TABLES[revision.sha256] = frozenset(table.name for table in spec.tables)
    return _TABLES[revision.sha256]


def _stop(wanted: Wanted, environment: Environment, proofs: dict[int, list[Proof]]) -> Stop:
    here, before = proofs[environment.pk], environment.after
    there = proofs[before.pk] if before else []
    proof = next((one for one in here if one.sha256 == wanted.sha256 and one.verified), None)
    missing = promotion.lacking(wanted, before, there) if before else ""
    last, compared = (here[0].run if here else None), (there[0].run if there else None)
    unlike = bool(last and compared and last.fingerprint != compared.fingerprint)
    return Stop(environment, last, proof, missing, unlike)
