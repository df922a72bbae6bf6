"""`mapping list`: which mappings there are, by name, by what they are filtered and how they are written."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import OutputWrapper
from django.db.models import OuterRef, Subquery

from jobs import states
from jobs.pages.overview import NEVER, CardFilters, chosen_mappings
from mappings.management.listing import add_listing, write_json
from mappings.management.refusing import named
from mappings.models import Environment, Revision

NEVER_RUN = NEVER.replace(" ", "-")


def add_mapping_list(parser: ArgumentParser) -> None:
    add_listing(parser, "NAME")
    parser.add_argument("--search", metavar="TEXT", help="only mappings with TEXT in name or description")
    parser.add_argument(
        "--status", choices=(*states.STATUSES, NEVER_RUN), metavar="STATUS",
        help=f"only mappings whose last run, in an environment, is in this status; or {NEVER_RUN}",
    )  # fmt: skip
    parser.add_argument("--env", metavar="ENV", help="with --status: in this environment")


def write_mapping_list(options: dict[str, Any], out: OutputWrapper) -> None:
    """Refused for an environment that does not exist."""
    rows = _rows(options)
    if options["format"] == "json":
        write_json(rows, out)
        return
    for row in rows:
        revision = f"revision {row['revision']}" if row["revision"] else "draft"
        out.write(f"{row['name']}: {row['tables']} tables, {revision}")


def _rows(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if options["env"] is not None:
        named(Environment, options["env"])
    status = NEVER if options["status"] == NEVER_RUN else options["status"] or ""
    result = chosen_mappings(CardFilters(options["search"] or "", status, options["env"] or "")).order_by(
        "name"
    )
    if options["after"] is not None:
        result = result.filter(name__gt=options["after"])
    last = Revision.objects.filter(mapping=OuterRef("pk")).order_by("-number")
    revised = result.annotate(
        revision=Subquery(last.values("number")[:1]), sha256=Subquery(last.values("sha256")[:1])
    )
    fields = ("name", "description", "table_count", "revision", "sha256")
    for row in revised[: options["limit"]].values(*fields):
        yield {name.replace("table_count", "tables"): row[name] for name in fields}
