"""`manage.py verifications list|schedule`: how a mapping stood the test over time, and when it is tested again."""

from __future__ import annotations

from dataclasses import asdict
from datetime import time
from typing import Any

from django.core.management.base import CommandParser

from jobs.actions import schedules
from jobs.actions.schedules import Wanted
from jobs.history.chain import moment
from jobs.reporting.verifications import verifications_of
from mappings.management.listing import whole, write_json
from mappings.management.refusing import RefusingCommand, named
from mappings.models import Environment, Mapping
from mappings.problems import Problem, Refused

LISTED = 100


class Command(RefusingCommand):
    help = (
        "List the verifications of a mapping in an environment, or set when it is verified again by itself."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        show = actions.add_parser("list", help="its verifications, newest first, with what they found")
        show.add_argument("--limit", type=whole, metavar="N", default=LISTED)
        show.add_argument("--format", choices=("text", "json"), default="text")
        show.set_defaults(run=self.list)
        when = actions.add_parser("schedule", help="when it is verified again; without options: never")
        times = when.add_mutually_exclusive_group()
        times.add_argument("--every", type=whole, metavar="HOURS")
        times.add_argument("--daily", metavar="HH:MM", help="UTC")
        when.add_argument(
            "--after-hand-run",
            action="store_true",
            help="when exported scripts were run, by a run that takes them over",
        )
        when.set_defaults(run=self.schedule)
        for action in (show, when):
            action.add_argument("name", metavar="NAME", help="the mapping")
            action.add_argument("--env", required=True, metavar="ENV")

    def list(self, options: dict[str, Any]) -> None:
        mapping, environment = named(Mapping, options["name"]), named(Environment, options["env"])
        result = verifications_of(mapping, environment, options["limit"])
        rows = ({**asdict(one), "created": moment(one.created)} for one in result)
        if options["format"] == "json":
            write_json(rows, self.stdout)
            return
        for row in rows:
            verdict = "verified" if row["passed"] else "mismatch"
            self.stdout.write(
                "{created}  run {run}  {verdict}  {missing:,} missing, {different:,} different, {extra:,} extra"
                " of {source_rows:,}".format(**{**row, "created": row["created"][:19] + "Z"}, verdict=verdict)
            )

    def schedule(self, options: dict[str, Any]) -> None:
        mapping, environment = named(Mapping, options["name"]), named(Environment, options["env"])
        wanted = Wanted(options["every"], _time(options["daily"]), options["after_hand_run"])
        kept = schedules.plan_verifications(mapping, environment, None, wanted)
        self.stdout.write(f"{mapping} is verified in {environment} by itself: {kept}.")


def _time(text: str | None) -> time | None:
    try:
        return time.fromisoformat(text).replace(tzinfo=None) if text else None
    except ValueError as error:
        raise Refused([Problem("--daily", f"{text!r} is no time of day: write HH:MM")]) from error
