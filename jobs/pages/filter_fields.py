"""The fields of the filters above a list: a search, and choices; sent with GET, so that the address keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs import states
from jobs.pages import overview
from jobs.pages.overview import CARD_ORDERS, GROUPS, NEEDING, NEVER, RUN_ORDERS, CardFilters, RunFilters
from jobs.pages.promotion import PromotionFilters
from mappings.models import Environment

Choice = tuple[str, str]


@dataclass(frozen=True, slots=True)
class FilterField:
    """choices: value and text of each, the first is what holds where nothing is chosen; none: it is typed in.

    kind: of what is typed in, as HTML names it.
    """

    name: str
    label: str
    value: str
    choices: tuple[Choice, ...] = ()
    kind: str = "search"


def of_cards(filters: CardFilters, environments: Iterable[Environment]) -> tuple[FilterField, ...]:
    """Above the mappings on the overview."""
    return (
        FilterField("q", "Mapping", filters.q),
        FilterField("status", "Last run", filters.status, (("", "any"), (NEVER, NEVER), *_statuses())),
        _environment("env", "in", "any environment", filters.env, environments),
        FilterField("sort", "Order", filters.sort, tuple((name, name) for name in CARD_ORDERS)),
    )


def of_runs(filters: RunFilters) -> tuple[FilterField, ...]:
    """Above the list of runs. A mapping that a link chose is a field only while it is chosen."""
    groups = [(name, name) for name in (NEEDING, *GROUPS)]
    environments = overview.in_order(list(Environment.objects.all()))
    mapping = (("", "all"), (filters.mapping, filters.mapping))
    return (
        FilterField("q", "Mapping or number", filters.q),
        *((FilterField("mapping", "Only of", filters.mapping, mapping),) if filters.mapping else ()),
        FilterField("status", "Status", filters.status, (("", "all"), *groups, *_statuses())),
        _environment("env", "Environment", "all", filters.env, environments),
        FilterField("sort", "Order", filters.sort, tuple((name, name) for name in RUN_ORDERS)),
    )


def of_promotion(filters: PromotionFilters, environments: Iterable[Environment]) -> tuple[FilterField, ...]:
    """Above the mappings on their way."""
    several = tuple(environments)
    return (
        FilterField("q", "Mapping", filters.q),
        _environment("done", "Verified in", "any or none", filters.done, several),
        _environment("todo", "To be verified in", "any or none", filters.todo, several),
    )


def _statuses() -> tuple[Choice, ...]:
    return tuple((status, status.replace("_", " ")) for status in states.STATUSES)


def _environment(
    name: str, label: str, every: str, value: str, environments: Iterable[Environment]
) -> FilterField:
    return FilterField(name, label, value, (("", every), *((one.name, one.name) for one in environments)))
