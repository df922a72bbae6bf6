"""`history list` and `run history`: what was done, newest first, by what it is filtered and how it is written."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import OutputWrapper

from jobs.history.chosen import HistoryFilters, chosen, day
from jobs.history.export import rows
from jobs.models import HistoryEntry
from mappings.management.listing import add_listing, whole, write_json
from mappings.problems import Problem, Refused

LISTED = 50
NAMES = tuple(HistoryFilters.__slots__)


def add_history_filters(parser: ArgumentParser) -> None:
    """Named as the fields of the page."""
    parser.add_argument(
        "--search", dest="q", metavar="TEXT", help="only entries with TEXT in one of their texts"
    )
    parser.add_argument("--kind", choices=HistoryEntry.KINDS, help="only what was done to one of these")
    parser.add_argument("--outcome", choices=HistoryEntry.OUTCOMES)
    parser.add_argument("--who", metavar="NAME", help="only by this account, terminal user or worker")
    parser.add_argument("--way", choices=HistoryEntry.WAYS, help="only from there")
    parser.add_argument("--mapping", metavar="NAME", help="only of this mapping, also if it is gone")
    parser.add_argument("--env", metavar="ENV", help="only in this environment, also if it is gone")
    parser.add_argument("--run", type=whole, metavar="RUN", dest="of_run", help="only of this run")
    parser.add_argument("--since", metavar="DAY", help="from this day on: YYYY-MM-DD")
    parser.add_argument("--until", metavar="DAY", help="up to this day, included")


def add_history_list(parser: ArgumentParser) -> None:
    add_listing(parser, "ENTRY", whole, f"; as text {LISTED} by default")
    add_history_filters(parser)


def filters_of(options: dict[str, Any]) -> HistoryFilters:
    """Refused for a day that is none."""
    for name in ("since", "until"):
        if options[name] and day(options[name]) is None:
            raise Refused([Problem(f"--{name}", f"{options[name]!r} is no day: write YYYY-MM-DD")])
    given = {**options, "run": options["of_run"]}
    return HistoryFilters(**{name: str(given[name] or "") for name in NAMES})


def write_history(options: dict[str, Any], out: OutputWrapper, say: Callable[[str], object]) -> None:
    """The entries to `out`; `say` is told how the list goes on."""
    result = chosen(filters_of(options))
    if options["after"] is not None:
        result = result.filter(number__lt=options["after"])
    if options["format"] == "json":
        write_json(rows(result[: options["limit"]]), out)
        return
    limit = options["limit"] or LISTED
    last = None
    for count, row in enumerate(rows(result[: limit + 1])):
        if count == limit:
            say(f"There are older ones: the same with --after {last}.")
            return
        last = row["number"]
        out.write(line(row))


def line(row: dict[str, Any]) -> str:
    """One entry on one line: when, who, from where, what, on what, and what was said."""
    who = row["actor"] or "nobody signed in"
    on = [
        f"run {row['run']}" if row["run"] else "",
        f"{row['mapping']} r{row['revision']}" if row["revision"] else row["mapping"],
        f"in {row['environment']}" if row["environment"] else "",
        row["subject"],
    ]
    outcome = "" if row["outcome"] == "done" else f" {row['outcome']}"
    words = f"{row['kind']} {row['verb']}{outcome}: {' '.join(one for one in on if one)}"
    text = " ".join(row["text"].split())
    return (
        f"{row['number']:>6}  {row['at'][:19]}Z  {who} ({row['way']})  {words}{f'  {text}' if text else ''}"
    )
