"""`run differences`, `run row`, and the filters of `run repair`: single rows of a run, for terminals and programs."""

from __future__ import annotations

import csv
import json
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

from django.core.management.base import OutputWrapper

from jobs.actions import passports, repairs
from jobs.engine.moving.passport import Passport
from jobs.models import Run
from jobs.reporting import differences
from jobs.reporting.differences import KINDS, ORDERS, WHY, Difference, Filters
from jobs.reporting.elements import Ways, said, ways_of
from mappings.problems import Problem, Refused

LISTED = 50
NAMES = [*(field.name for field in fields(Difference)), "reason"]


def add_filters(parser: ArgumentParser) -> None:
    """Which differences are meant."""
    parser.add_argument("--table", metavar="NAME", help="only of this table of the mapping")
    parser.add_argument("--column", metavar="NAME", help="only in this column of the target")
    parser.add_argument("--kind", choices=KINDS, help="only of this kind")
    parser.add_argument("--key", metavar="KEY", help="only of the row with this source key")
    parser.add_argument("--target-key", metavar="KEY", help="only of the row with this target key")
    parser.add_argument(
        "--why", choices=WHY, metavar="REASON", help=f"only for this reason: {', '.join(WHY)}"
    )


def add_repair(parser: ArgumentParser) -> ArgumentParser:
    """The options of `run repair` beside the common ones."""
    add_filters(parser)
    parser.add_argument("--preview", action="store_true", help="only say what the chosen rows would become")
    return parser


def add_verify(parser: ArgumentParser) -> ArgumentParser:
    """The options of `run verify` beside the common ones."""
    parser.add_argument("--identical", action="store_true", help="compare binary images: 1.10 is not 1.1")
    return parser


def add_differences(parser: ArgumentParser) -> None:
    """The options of `run differences`."""
    add_filters(parser)
    orders = [f"{sign}{name}" for name in ORDERS for sign in ("", "-")]
    parser.add_argument(
        "--sort", choices=orders, default="key", help="the order; - turns it round (--sort=-key)"
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help=f"at most N; as text {LISTED} by default, else all"
    )
    parser.add_argument("--after", type=int, metavar="ID", help="those behind the difference with this id")
    parser.add_argument("--format", choices=("text", "json", "csv"), default="text")


def add_row(parser: ArgumentParser) -> None:
    """The options of `run row`."""
    parser.add_argument("--table", required=True, metavar="NAME", help="the table of the mapping")
    parser.add_argument("--source", metavar="KEY", help="the source row's key")
    parser.add_argument("--target", metavar="KEY", help="the target row's key")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def filters_of(options: dict[str, Any]) -> Filters:
    """The filters as they were given."""
    return Filters.of({field.name: options[field.name] or "" for field in fields(Filters)})


def write_differences(run: Run, options: dict[str, Any], out: OutputWrapper) -> str:
    """The differences of the run's last verification to `out`. Returns how the list goes on, '' where it does not."""
    report = run.reports.first()
    if report is None:
        raise Refused([Problem("", f"run {run.pk} has no verification yet")])
    limit = options["limit"] or (LISTED if options["format"] == "text" else None)
    with differences.opened(run, report) as store:
        if limit is None and options["after"] is None:
            _write(store.stream(filters_of(options), options["sort"]), options["format"], out, ways_of(run))
            return ""
        part = store.part(filters_of(options), options["sort"], limit or 10**9, after=options["after"])
    _write(iter(part.rows), options["format"], out, ways_of(run))
    return f"There are more: add `--after {part.rows[-1].id}`." if part.later else ""


def _write(result: Iterator[Difference], form: str, out: OutputWrapper, ways: Ways) -> None:
    if form == "text":
        for one in result:
            out.write(_line(one, said(ways.get((one.table, one.column), ()), one.expected, one.found)))
    elif form == "csv":
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(NAMES)
        writer.writerows(list(_plain(one).values()) for one in result)
    else:
        out.write("[", ending="")
        for number, one in enumerate(result):
            out.write(("," if number else "") + "\n" + json.dumps(_plain(one)), ending="")
        out.write("\n]")


def _plain(one: Difference) -> dict[str, Any]:
    return {**asdict(one), "reason": one.reason}


def _line(one: Difference, element: str) -> str:
    key = one.source_key if one.source_key is not None else one.target_key
    if not one.column:
        return f"{one.table} {key}: {one.kind} ({one.reason})"
    inside = f"; {element}" if element else ""
    values = f"{one.column} should be {_value(one.expected)}, is {_value(one.found)}{inside}"
    return f"{one.table} {key}: {values} ({one.reason})"


def _value(value: object) -> str:
    return (
        "NULL"
        if value is None
        else repr(value)
        if value == "" or str(value) != str(value).strip()
        else str(value)
    )


def write_row(run: Run, options: dict[str, Any], out: OutputWrapper) -> None:
    """The passport of one row to `out`."""
    known = passports.row_passport(run, options["table"], options["source"], options["target"])
    if options["format"] == "json":
        out.write(json.dumps(passports.as_json(run, known), default=str))
        return
    for line in _passport(known):
        out.write(line)


def _passport(known: Passport) -> Iterator[str]:
    there = "" if known.source_there else " (not in the mapping's scope now)"
    yield f"source row: {known.source_key}{there}"
    yield f"target row: {known.target_key}{'' if known.target_there else ' (not in the target now)'}"
    if by := known.brought:
        chunk = "" if by.chunk is None else f", chunk {by.chunk}"
        yield (
            f"{by.action} by run {by.run}{chunk}, {by.at:%Y-%m-%d %H:%M:%S %Z}"
            if by.at
            else f"by run {by.run}"
        )
        yield f"revision {by.revision or '?'} {by.sha256[:8]} in {by.environment}"
        yield f"operator: {by.operator or 'not recorded'}"
    else:
        yield "brought by no run of this mapping, as far as the target knows"
    if known.quarantined:
        yield "quarantined: {column}: {message} ({sqlstate})".format_map(known.quarantined)
    for name, value in (known.before or {}).items():
        yield f"before: {name} = {_value(value)}"
    for one in known.columns:
        mark = f", is {_value(one.found)}" if one.differs else ""
        yield f"{one.column}: the mapping yields {_value(one.expected)}{mark}"


def repair(run: Run, options: dict[str, Any], out: OutputWrapper) -> bool:
    """Begins to mend the rows that the filters mean, or all that may be mended without any; whether it did.

    As a preview only says to `out` what it would do.
    """
    filters = filters_of(options)
    if not options["preview"]:
        if filters.given():
            repairs.repair_rows(run, None, filters)
        else:
            repairs.repair(run, None)
        return True
    choice = repairs.choose(run, filters)
    for name, copied, overwritten in choice.tables:
        out.write(f"{name}: {copied:,} rows would be copied, {overwritten:,} overwritten")
    ways = ways_of(run)
    for one in choice.first:
        out.write(_line(one, said(ways.get((one.table, one.column), ()), one.expected, one.found)))
    if choice.is_more:
        out.write(f"These are the first of them: `run differences {run.pk}` lists all.")
    if choice.extra:
        out.write(f"{choice.extra:,} rows are extra in the target: nothing is done to them")
    return False
