"""`manage.py mapping load|dump|list|plan`: mapping files in, mapping files and plans out."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import CommandParser

from mappings import plan_text
from mappings.canonical import dump
from mappings.management.refusing import RefusingCommand, named
from mappings.mapping_file import MAX_BYTES, parse
from mappings.models import Environment, Mapping
from mappings.planning import make_plan
from mappings.problems import Problem, Refused
from mappings.store import save_spec, spec_of


class Command(RefusingCommand):
    help = "Load, dump, list or plan mappings."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        load = actions.add_parser("load", help="save a mapping file as the mapping's newest revision")
        load.add_argument("file", metavar="FILE", help="a mapping file (YAML), or - for the standard input")
        load.set_defaults(run=self.load)
        out = actions.add_parser("dump", help="write a mapping as a mapping file to the standard output")
        out.add_argument("name", metavar="NAME")
        out.set_defaults(run=self.dump)
        show = actions.add_parser("list", help="list the mappings")
        show.add_argument("--format", choices=["text", "json"], default="text")
        show.set_defaults(run=self.list)
        plan = actions.add_parser("plan", help="compile a mapping for an environment, changing nothing")
        plan.add_argument("name", metavar="NAME")
        plan.add_argument("--env", required=True, metavar="ENV")
        plan.add_argument("--format", choices=["text", "json", "sql"], default="text")
        plan.set_defaults(run=self.plan)

    def load(self, options: dict[str, Any]) -> None:
        revision = save_spec(parse(_content(options["file"])))
        self.stdout.write(
            f"Mapping {revision.mapping} is saved: revision {revision.number}, {revision.sha256}."
        )

    def dump(self, options: dict[str, Any]) -> None:
        self.stdout.write(dump(spec_of(named(Mapping, options["name"]))), ending="")

    def list(self, options: dict[str, Any]) -> None:
        rows = [_row(mapping) for mapping in Mapping.objects.all()]
        if options["format"] == "json":
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            revision = f"revision {row['revision']}" if row["revision"] else "draft"
            self.stdout.write(f"{row['name']}: {row['tables']} tables, {revision}")

    def plan(self, options: dict[str, Any]) -> None:
        revision = named(Mapping, options["name"]).latest_revision
        if revision is None:
            raise Refused(
                [Problem("", f"Mapping {options['name']} has no revision yet: it is still a draft.")]
            )
        plan = make_plan(revision, named(Environment, options["env"]))
        self.stdout.write(plan_text.FORMATS[options["format"]](plan))
        if plan.blockers:
            raise Refused(plan.blockers)


def _row(mapping: Mapping) -> dict[str, Any]:
    latest = mapping.latest_revision
    return {
        "name": mapping.name,
        "description": mapping.description,
        "tables": mapping.tables.count(),
        "revision": latest.number if latest else None,
        "sha256": latest.sha256 if latest else None,
    }


def _content(path: str) -> bytes:
    """What the file holds, up to just past the size that is refused; Refused where it cannot be read."""
    try:
        if path == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refused([Problem("", f"The file {path} cannot be read: {error.strerror}.")]) from error
