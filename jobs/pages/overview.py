"""What each page shows, gathered from the models: read-only, one function per page."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import Count, Prefetch, QuerySet, Sum
from django.urls import reverse

from jobs import states
from jobs.models import Run
from mappings.models import Environment, Mapping, Revision

RUNS_SHOWN = 50
GROUPS = {"active": states.ACTIVE, "finished": states.FINISHED}
PLACE = ("mapping_id", "environment_id")


@dataclass(frozen=True, slots=True)
class Place:
    """One mapping in one environment: its last run there, if any."""

    environment: Environment
    last: Run | None


@dataclass(frozen=True, slots=True)
class MappingCard:
    """One mapping on the home page. active: the run to watch; primary: the place its main button leads to."""

    mapping: Mapping
    revision: Revision | None
    tables: int
    places: tuple[Place, ...]

    @property
    def active(self) -> Run | None:
        return next((place.last for place in self.places if place.last and place.last.is_active), None)

    @property
    def primary(self) -> Place | None:
        """Where to go next: the active run, else the first environment where it is not yet verified."""
        if self.active:
            return next(place for place in self.places if place.last == self.active)
        todo = [place for place in self.places if not place.last or place.last.status != states.VERIFIED]
        return next(iter(todo or self.places), None)


@dataclass(frozen=True, slots=True)
class Home:
    """The home page."""

    cards: tuple[MappingCard, ...]
    environments: tuple[Environment, ...]
    recent: tuple[Run, ...]


def home() -> Home:
    """Every mapping with its last run in each environment, and the latest runs of all."""
    environments = tuple(in_order(list(Environment.objects.select_related("after"))))
    last = Run.objects.order_by(*PLACE, "-id").distinct(*PLACE).defer("plan")
    by_place = {(run.mapping_id, run.environment_id): run for run in last}
    mappings = (
        Mapping.objects.annotate(table_count=Count("tables"))
        .order_by("name")
        .prefetch_related(
            Prefetch("revisions", queryset=Revision.objects.defer("canonical").order_by("-number"))
        )
    )
    cards = tuple(
        MappingCard(
            mapping,
            next(iter(mapping.revisions.all()), None),
            mapping.table_count,
            tuple(Place(env, by_place.get((mapping.pk, env.pk))) for env in environments),
        )
        for mapping in mappings
    )
    return Home(cards, environments, tuple(with_names(Run.objects.all())[:8]))


def in_order(environments: list[Environment]) -> list[Environment]:
    """Environments so that each stands behind the one it comes after, by name otherwise."""
    parents = {environment.pk: environment.after_id for environment in environments}
    names = {environment.pk: environment.name for environment in environments}

    def path(key: int) -> list[str]:
        seen: list[int] = []
        at: int | None = key
        while at is not None and at not in seen:
            seen.append(at)
            at = parents.get(at)
        return [names[one] for one in reversed(seen)]

    return sorted(environments, key=lambda environment: path(environment.pk))


def runs(status: str) -> list[Run]:
    """The latest runs, of one status or a group of them; all for ''."""
    chosen = GROUPS.get(status) or ({status} if status in states.STATUSES else None)
    found = Run.objects.all() if chosen is None else Run.objects.filter(status__in=sorted(chosen))
    return list(with_names(found)[:RUNS_SHOWN])


def with_names(found: QuerySet[Run]) -> QuerySet[Run]:
    """Runs with what their lines show, and without their plans."""
    named = found.select_related("mapping", "environment", "revision", "started_by")
    counted = named.defer("plan", "revision__canonical").annotate(quarantined_rows=Sum("tables__quarantined"))
    return counted.order_by("-id")


def table_names(mapping: Mapping) -> list[str]:
    """The names of a mapping's tables, as references and the table filter use them."""
    return [table.name or table.source.rpartition(".")[2].strip('"') for table in mapping.tables.all()]


def active_run(mapping: Mapping, environment: Environment | None) -> Run | None:
    """The run that holds this mapping in this environment, if any."""
    active = Run.objects.filter(mapping=mapping, environment=environment, status__in=sorted(states.ACTIVE))
    return with_names(active).first()


def review_address(mapping: Mapping, environment: Environment, tables: list[str], safe: bool = False) -> str:
    """The review page of a mapping in an environment, of some of its tables, and of the safe way."""
    way = [("safe", "1")] if safe else []
    query = urlencode([("env", environment.name), *(("tables", name) for name in tables), *way])
    return f"{reverse('jobs:review', args=[mapping.name])}?{query}"
