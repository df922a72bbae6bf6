"""`manage.py history list|check|export`: what was done, by whom, when, from where and to what."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from jobs.history import chain, export
from jobs.history.chosen import chosen
from jobs.management.history_list import add_history_filters, add_history_list, filters_of, write_history
from jobs.models import HistoryEntry
from jobs.reporting.summary import DIFFERENT
from mappings.management.refusing import RefusingCommand


class Command(RefusingCommand):
    help = "List, check or export the history: what was done, by whom, when, from where and to what."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        show = actions.add_parser("list", help="the entries, newest first")
        add_history_list(show)
        show.set_defaults(run=self.list)
        check = actions.add_parser(
            "check", help="whether no entry was altered or taken away; where, if one was"
        )
        check.add_argument(
            "--head", metavar="NUMBER:HASH", help="an entry that was noted elsewhere: it must still be there"
        )
        check.set_defaults(run=self.look_over)
        out = actions.add_parser("export", help="all entries, to the standard output, however many")
        out.add_argument("--format", choices=tuple(export.FORMATS), default="json")
        add_history_filters(out)
        out.set_defaults(run=self.export)

    def list(self, options: dict[str, Any]) -> None:
        write_history(options, self.stdout, self.stderr.write)

    def look_over(self, options: dict[str, Any]) -> None:
        count, broken = chain.check()
        if options["head"] and not _is_there(options["head"]):
            broken.append(f"there is no entry {options['head']}: it was altered or taken away")
        for one in broken:
            self.stderr.write(f"{one[0].upper()}{one[1:]}.")
        if broken:
            sys.exit(DIFFERENT)
        last = HistoryEntry.objects.order_by("-number").first()
        noted = f" The last one is {last.number}:{last.hash}." if last else ""
        self.stdout.write(f"The history is whole: {count:,} entries.{noted}")

    def export(self, options: dict[str, Any]) -> None:
        for piece in export.written(chosen(filters_of(options)), options["format"]):
            self.stdout.write(piece, ending="")


def _is_there(noted: str) -> bool:
    number, _, sha256 = noted.partition(":")
    is_number = number.isascii() and number.isdecimal() and len(number) < 19
    return is_number and HistoryEntry.objects.filter(number=int(number), hash=sha256).exists()
