"""What each page shows, gathered from the models: read-only, one function per page."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.urls import reverse

from jobs import states
from jobs.models import Fingerprint, Run, TableRun
from jobs.pages.mapping_lists import latest_revisions, of_present_revision, searched
from jobs.pages.paging import Part, part
from mappings.models import Environment, Mapping, Revision, TableMapping
from mappings.web.numbers import whole_number

RUNS_SHOWN = 50
CARDS_SHOWN = 20
RUNNING_SHOWN = NEEDING_SHOWN = 8
RECENT_SHOWN = 8
NEEDING = "needs somebody"
TROUBLED = (states.FAILED, states.MISMATCH, states.PAUSED)
GROUPS = {"active": states.ACTIVE, "finished": states.FINISHED}
RUN_ORDERS = {"newest": ("-id",), "oldest": ("id",), "mapping": ("mapping__name", "-id")}
CARD_ORDERS = {"name": ("name",), "last changed": ("-updated", "-id")}
NEVER = "never run"
PLACE = ("mapping_id", "environment_id")
Typed = Dict[str, str]
NO_RUNS: Part[Run] = Part((), 0)


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
class CardFilters:
    """Which mappings the overview shows. status: of the last run, in the environment if one is named; or NEVER."""

    q: str = ""
    status: str = ""
    env: str = ""
    sort: str = ""

    @property
    def any(self) -> bool:
        return bool(self.q or self.status or self.env)


@dataclass(frozen=True, slots=True)
class Ready:
    """How many mappings were verified in one environment and may go on to the one that comes after it."""

    environment: Environment
    count: int


@dataclass(frozen=True, slots=True)
class Home:
    """The home page: what runs, what needs somebody, then a part of the mappings, and the latest runs of all.

    The first two only where it begins: not in a search, nor in the parts that come after the first.
    """

    running: Part[Run]
    needing: Part[Run]
    ready: tuple[Ready, ...]
    cards: tuple[MappingCard, ...]
    part: Part[Mapping]
    filters: CardFilters
    environments: tuple[Environment, ...]
    recent: tuple[Run, ...]

    @property
    def is_begun(self) -> bool:
        return bool(self.environments and (self.cards or self.filters.any))


def home(filters: CardFilters, at: Typed) -> Home:
    """The same queries however many mappings and runs there are."""
    environments = tuple(in_order(list(Environment.objects.select_related("after"))))
    shown = part(
        chosen_mappings(filters), CARD_ORDERS.get(filters.sort, ("name",)), CARDS_SHOWN, asdict(filters), at
    )
    is_begin = not (
        filters.any or at.get("after") or at.get("before")
    )  # who searches wants the mappings first
    running = with_names(Run.objects.filter(status__in=sorted(states.RINGING)))
    return Home(
        part(running, ("-id",), RUNNING_SHOWN, {}, {}) if is_begin else NO_RUNS,
        part(with_names(needing_somebody()), ("-id",), NEEDING_SHOWN, {}, {}) if is_begin else NO_RUNS,
        _ready(environments) if is_begin else (),
        _cards(shown.rows, environments),
        shown,
        filters,
        environments,
        tuple(with_names(Run.objects.all())[:RECENT_SHOWN]),
    )


def chosen_mappings(filters: CardFilters) -> QuerySet[Mapping]:
    """The mappings that the filters leave, each with the number of its tables."""
    counted = TableMapping.objects.filter(mapping=OuterRef("pk")).order_by().values("mapping")
    tables = Subquery(counted.annotate(count=Count("pk")).values("count"))
    result = searched(Mapping.objects.annotate(table_count=Coalesce(tables, 0)), filters.q)
    runs = Run.objects.filter(mapping=OuterRef("pk"))
    if filters.env:
        runs = runs.filter(environment__name=filters.env)
    if filters.status == NEVER:
        return result.filter(~Exists(runs))
    if filters.status in states.STATUSES:
        return result.filter(Exists(runs.filter(last_of_pair(), status=filters.status)))
    return result


def _cards(mappings: Sequence[Mapping], environments: Sequence[Environment]) -> tuple[MappingCard, ...]:
    revisions = latest_revisions(mappings, "canonical")
    runs = Run.objects.filter(mapping__in=[mapping.pk for mapping in mappings])
    last = with_outcome(runs).order_by(*PLACE, "-id").distinct(*PLACE).defer("plan", "plan_selected")
    by_place = {(run.mapping_id, run.environment_id): run for run in last}
    return tuple(
        MappingCard(
            mapping,
            revisions.get(mapping.pk),
            mapping.table_count,  # type: ignore[attr-defined]  # annotated in chosen_mappings
            tuple(Place(env, by_place.get((mapping.pk, env.pk))) for env in environments),
        )
        for mapping in mappings
    )


def last_of_pair() -> Exists:
    """A condition on runs: none of the same mapping in the same environment is newer."""
    newer = Run.objects.filter(
        mapping=OuterRef("mapping"), environment=OuterRef("environment"), pk__gt=OuterRef("pk")
    )
    return ~Exists(newer)  # type: ignore[return-value]


def needing_somebody() -> QuerySet[Run]:
    """The last runs of their mappings that stopped, differ, are paused, or set rows aside."""
    aside = Exists(TableRun.objects.filter(run=OuterRef("pk"), quarantined__gt=0))
    return Run.objects.filter(last_of_pair()).filter(
        Q(status__in=TROUBLED) | Q(Q(aside), status=states.VERIFIED)
    )


def _ready(environments: Sequence[Environment]) -> tuple[Ready, ...]:
    """For each environment that comes after another one, in one query."""
    verified = Run.objects.filter(of_present_revision(), status=states.VERIFIED)
    onward = verified.annotate(to=F("environment__followers")).filter(to__isnull=False)
    there = Run.objects.filter(
        mapping=OuterRef("mapping"), environment=OuterRef("to"), revision=OuterRef("revision")
    )
    waiting = onward.filter(~Exists(there.filter(status__in=[states.VERIFIED, *states.ACTIVE])))
    counted = waiting.order_by().values("to").annotate(count=Count("mapping", distinct=True))
    counts = dict(counted.values_list("to", "count"))
    return tuple(Ready(one, counts[one.pk]) for one in environments if counts.get(one.pk))


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


@dataclass(frozen=True, slots=True)
class RunFilters:
    """Which runs are listed. q: a piece of the mapping's name, or a run's number; status: one, a group, or NEEDING."""

    q: str = ""
    status: str = ""
    mapping: str = ""
    env: str = ""
    sort: str = ""

    @property
    def any(self) -> bool:
        return bool(self.q or self.status or self.mapping or self.env)


def runs(filters: RunFilters, at: Typed) -> Part[Run]:
    """A part of the runs that the filters leave, newest first unless another order is asked for."""
    order = RUN_ORDERS.get(filters.sort, RUN_ORDERS["newest"])
    return part(with_names(chosen_runs(filters)), order, RUNS_SHOWN, asdict(filters), at)


def chosen_runs(filters: RunFilters) -> QuerySet[Run]:
    """The runs that all the filters leave."""
    result = needing_somebody() if filters.status == NEEDING else Run.objects.all()
    if filters.status in (*GROUPS, *states.STATUSES):
        result = result.filter(status__in=sorted(GROUPS.get(filters.status, {filters.status})))
    if q := filters.q.strip():
        number = whole_number(q)
        result = result.filter(Q(mapping__name__icontains=q) | (Q() if number is None else Q(pk=number)))
    if filters.mapping:
        result = result.filter(mapping__name=filters.mapping)
    return result.filter(environment__name=filters.env) if filters.env else result


def with_names(result: QuerySet[Run]) -> QuerySet[Run]:
    """Runs with what their lines show, and without their plans."""
    named = result.select_related("mapping", "environment", "revision", "started_by")
    return with_outcome(named.defer("plan", "plan_selected", "revision__canonical")).order_by("-id")


def with_outcome(result: QuerySet[Run]) -> QuerySet[Run]:
    """Runs with what never hides behind the word of their status: how many rows were set aside, summed for shown lines
    only, and whether the proof of a rollback found what nobody accounts for."""
    of_run = TableRun.objects.filter(run=OuterRef("pk"), quarantined__gt=0).order_by().values("run")
    aside = Subquery(of_run.annotate(rows=Sum("quarantined")).values("rows"))
    unproved = Exists(Fingerprint.objects.filter(run=OuterRef("pk")).exclude(unexplained=[]))
    return result.annotate(quarantined_rows=aside, rollback_differs=unproved)


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
