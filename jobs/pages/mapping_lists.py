"""What pages with many mappings share: the search, and the last revision of each."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet

from jobs import states
from jobs.models import Run
from mappings.models import Environment, Mapping, Revision


def searched(result: QuerySet[Mapping], q: str) -> QuerySet[Mapping]:
    """Mappings with these letters in their name or description, in either case; all for ''."""
    q = q.strip()
    return result.filter(Q(name__icontains=q) | Q(description__icontains=q)) if q else result


def latest_revisions(mappings: Sequence[Mapping], *unread: str) -> dict[int, Revision]:
    """The last revision of each mapping that has one, without the fields `unread`; in one query."""
    revisions = Revision.objects.filter(mapping__in=[mapping.pk for mapping in mappings])
    last = revisions.order_by("mapping_id", "-number").distinct("mapping_id").select_related("author")
    by_mapping = {revision.mapping_id: revision for revision in last.defer(*unread)}
    for mapping in mappings:
        if mapping.pk in by_mapping:
            by_mapping[mapping.pk].mapping = mapping
    return by_mapping


def with_present_revision_verified(result: QuerySet[Mapping], environment: Environment) -> QuerySet[Mapping]:
    """Those whose last revision is verified in the environment, by a run that was not rolled back."""
    return result.filter(Exists(_verified(environment)))


def with_present_revision_to_verify(result: QuerySet[Mapping], environment: Environment) -> QuerySet[Mapping]:
    """Those that have a revision, and whose last one is not."""
    revised = Exists(Revision.objects.filter(mapping=OuterRef("pk")))
    return result.filter(revised, ~Exists(_verified(environment)))


def _verified(environment: Environment) -> QuerySet[Run]:
    runs = Run.objects.filter(mapping=OuterRef("pk"), environment=environment, status=states.VERIFIED)
    return runs.filter(of_present_revision())


def of_present_revision() -> Exists:
    """A condition on runs: no revision of the mapping is newer than the run's."""
    newer = Revision.objects.filter(mapping=OuterRef("mapping"), number__gt=OuterRef("revision__number"))
    return ~Exists(newer)  # type: ignore[return-value]
