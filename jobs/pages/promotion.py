"""What the page of promotion shows: each mapping on its way through the environments, and what is missing to go on.

It is made of what runs recorded, without asking any database; the review asks them as they are now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs import states
from jobs.actions import promotion
from jobs.actions.promotion import Proof, Wanted
from jobs.models import Run
from jobs.pages.overview import in_order
from mappings.models import Environment, Mapping, Revision
from mappings.problems import Refused
from mappings.store import revision_spec


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


def promotion_page() -> tuple[Way, ...]:
    """Every mapping with every environment, each behind the one that it comes after."""
    environments = in_order(list(Environment.objects.select_related("after")))
    return tuple(_way(mapping, environments) for mapping in Mapping.objects.all())


def _way(mapping: Mapping, environments: Sequence[Environment]) -> Way:
    revision = mapping.latest_revision
    if revision is None:
        return Way(mapping, None, (), f"{mapping} is a draft: it has no revision yet.")
    try:
        tables = frozenset(table.name for table in revision_spec(revision).tables)
    except Refused as refused:
        return Way(mapping, revision, (), str(refused))
    wanted = Wanted(mapping.name, revision.number, revision.sha256, tables)
    proofs = {one.pk: promotion.proofs_of(mapping.name, one) for one in environments}
    return Way(mapping, revision, tuple(_stop(wanted, one, proofs) for one in environments))


def _stop(wanted: Wanted, environment: Environment, proofs: dict[int, list[Proof]]) -> Stop:
    here, before = proofs[environment.pk], environment.after
    there = proofs[before.pk] if before else []
    proof = next((one for one in here if one.sha256 == wanted.sha256 and one.verified), None)
    missing = promotion.lacking(wanted, before, there) if before else ""
    last, compared = (here[0].run if here else None), (there[0].run if there else None)
    unlike = bool(last and compared and last.fingerprint != compared.fingerprint)
    return Stop(environment, last, proof, missing, unlike)
