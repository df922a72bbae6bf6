"""`manage.py mapping load|dump|list`: mapping files in, mapping files out."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import CommandParser

from mappings.canonical import dump
from mappings.management.refusing import RefusingCommand, named
from mappings.mapping_file import MAX_BYTES, parse
from mappings.models import Mapping
from mappings.problems import Problem, Refused
from mappings.store import save_spec, spec_of


class Command(RefusingCommand):
    help = "Load, dump or list mappings."

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
