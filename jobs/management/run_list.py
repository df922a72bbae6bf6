"""`run list`: which runs there are, newest first, by what they are filtered and how they are written."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import OutputWrapper
from django.db.models import QuerySet

from jobs import states
from jobs.models import Run
from jobs.pages.overview import GROUPS, NEEDING, RunFilters, chosen_runs, with_outcome
from jobs.reporting import summary
from mappings.management.listing import add_listing, whole, write_json
from mappings.management.refusing import named
from mappings.models import Environment, Mapping

LISTED = 50
NEEDS = NEEDING.replace(" ", "-")
LISTED_FIELDS = ("status", "started", "finished", "mapping__name", "environment__name")


def add_run_list(parser: ArgumentParser) -> None:
    add_listing(parser, "RUN", whole, f"; as text {LISTED} by default")
    parser.add_argument(
        "--status", choices=(*states.STATUSES, *GROUPS, NEEDS), metavar="STATUS",
        help=f"only runs in this status; or {', '.join(GROUPS)}, or {NEEDS}",
    )  # fmt: skip
    parser.add_argument("--mapping", metavar="NAME", help="only runs of this mapping")
    parser.add_argument("--env", metavar="ENV", help="only runs in this environment")


def write_run_list(options: dict[str, Any], out: OutputWrapper, say: Callable[[str], object]) -> None:
    """The runs to `out`; `say` is told how the list goes on. Refused for a name that does not exist."""
    result = _chosen(options)
    if options["format"] == "json":
        write_json((summary.listed(run) for run in _read(result[: options["limit"]])), out)
        return
    limit, last = options["limit"] or LISTED, None
    for count, run in enumerate(_read(result[: limit + 1])):
        if count == limit:
            say(f"There are older ones: `run list {_asked(options)}--after {last}`.")
            return
        last = run.pk
        out.write(_line(run))


def _line(run: Run) -> str:
    # annotated by `with_outcome`
    words = summary.in_words(run.status, run.quarantined_rows or 0, run.rollback_differs)  # type: ignore[attr-defined]
    started = summary.listed(run)["started"] or "not started"
    return f"{run.pk:>5}  {run.mapping.name}  {run.environment.name}  {words}  {started}"


def _chosen(options: dict[str, Any]) -> QuerySet[Run]:
    for model, option in ((Mapping, "mapping"), (Environment, "env")):
        if options[option] is not None:
            named(model, options[option])
    status = NEEDING if options["status"] == NEEDS else options["status"] or ""
    filters = RunFilters(status=status, mapping=options["mapping"] or "", env=options["env"] or "")
    result = chosen_runs(filters).order_by("-id")
    return result.filter(pk__lt=options["after"]) if options["after"] is not None else result


def _read(result: QuerySet[Run]) -> Iterator[Run]:
    """Without plans, which may be large."""
    return iter(with_outcome(result.select_related("mapping", "environment").only(*LISTED_FIELDS)))


def _asked(options: dict[str, Any]) -> str:
    """The filters as they were given, so that the next part is one of the same list."""
    names = ("status", "mapping", "env")
    return "".join(f"--{name} {options[name]} " for name in names if options[name] is not None)
