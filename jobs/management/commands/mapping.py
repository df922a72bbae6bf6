"""`manage.py mapping …`: mapping files in; mapping files, plans and scripts out; and a mapping is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from jobs.actions import asking, exports
from jobs.actions import runs as actions
from jobs.exporting import folders
from jobs.management.mapping_list import add_mapping_list, write_mapping_list
from mappings.language.canonical import dump
from mappings.language.file import MAX_BYTES, parse
from mappings.language.spec import MappingSpec
from mappings.management import suggest as suggest_command
from mappings.management.options import add_safe_widening
from mappings.management.refusing import RefusingCommand, named
from mappings.models import Environment, Mapping, Revision
from mappings.plan import text as plan_text
from mappings.plan.model import Plan
from mappings.problems import Problem, Refused
from mappings.store import revision_spec, save_spec, spec_of


class Command(RefusingCommand):
    help = "Load, dump, list, suggest, plan or export mappings."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        load = actions.add_parser("load", help="save a mapping file as the mapping's newest revision")
        load.add_argument("file", metavar="FILE", help="a mapping file (YAML), or - for the standard input")
        load.add_argument(
            "--note", default="", help="why it is changed; kept with the revision that this makes"
        )
        load.set_defaults(run=self.load)
        out = actions.add_parser("dump", help="write a mapping as a mapping file to the standard output")
        out.add_argument("name", metavar="NAME")
        out.add_argument("--revision", type=int, metavar="NUMBER", help="as it was in that revision")
        out.set_defaults(run=self.dump)
        show = actions.add_parser("list", help="list the mappings")
        add_mapping_list(show)
        show.set_defaults(run=self.list)
        suggest_command.add_to(actions, self.suggest)
        _add_plan(actions, self.plan)
        export = actions.add_parser("export", help="write a plan as SQL that is run by hand")
        export.add_argument("name", metavar="NAME")
        export.add_argument("--env", required=True, metavar="ENV")
        export.add_argument("--format", choices=list(folders.FORMATS), required=True)
        export.add_argument(
            "--output", required=True, metavar="DIR", help="a new or empty folder, or an earlier export"
        )
        add_safe_widening(export)
        export.set_defaults(run=self.export)
        ask = actions.add_parser(
            "ask", help="ask for a mapping in the next environment; who may start it is told"
        )
        ask.add_argument("name", metavar="NAME")
        ask.add_argument("--env", required=True, metavar="ENV")
        ask.add_argument("--comment", default="", help="a word on it, which they are told too")
        ask.set_defaults(run=self.ask)

    def load(self, options: dict[str, Any]) -> None:
        spec = parse(_content(options["file"]))
        before = Revision.objects.filter(mapping__name=spec.name).order_by("number").last()
        revision = save_spec(spec, note=options["note"].strip())
        did = "is unchanged" if revision == before else "is saved"
        self.stdout.write(f"Mapping {spec.name} {did}: revision {revision.number}, {revision.sha256}.")

    def dump(self, options: dict[str, Any]) -> None:
        mapping = named(Mapping, options["name"])
        spec = spec_of(mapping) if options["revision"] is None else _frozen(mapping, options["revision"])
        self.stdout.write(dump(spec), ending="")

    def list(self, options: dict[str, Any]) -> None:
        write_mapping_list(options, self.stdout)

    def suggest(self, options: dict[str, Any]) -> None:
        suggest_command.run(options, self.stdout.write)

    def plan(self, options: dict[str, Any]) -> None:
        plan = _plan(options, estimate=options["estimate"])
        self.stdout.write(plan_text.FORMATS[options["format"]](plan))
        if plan.blockers:
            raise Refused(plan.blockers)

    def export(self, options: dict[str, Any]) -> None:
        files = exports.export(_plan(options), options["format"], None)
        folders.write(files, Path(options["output"]))
        self.stdout.write(f"{len(files)} files are in {options['output']}.\n")
        self.stdout.write(files[folders.READ_ME].decode(), ending="")

    def ask(self, options: dict[str, Any]) -> None:
        mapping, environment = named(Mapping, options["name"]), named(Environment, options["env"])
        told = asking.ask_for_promotion(mapping, environment, None, options["comment"])
        self.stdout.write(f"{mapping} is asked for in {environment}; receivers that are told: {told}.")


def _add_plan(actions: Any, run: Callable[[dict[str, Any]], None]) -> None:
    plan = actions.add_parser("plan", help="compile a mapping for an environment, changing nothing")
    plan.add_argument("name", metavar="NAME")
    plan.add_argument("--env", required=True, metavar="ENV")
    plan.add_argument("--format", choices=["text", "json", "sql"], default="text")
    plan.add_argument(
        "--estimate",
        action="store_true",
        help="at once, by the servers' statistics: large tables are named and not measured",
    )
    add_safe_widening(plan)
    plan.set_defaults(run=run)


def _plan(options: dict[str, Any], estimate: bool = False) -> Plan:
    mapping, environment = named(Mapping, options["name"]), named(Environment, options["env"])
    if estimate:
        return actions.estimated_review(mapping, environment, safe=options["safe_widening"])
    return actions.review(mapping, environment, safe=options["safe_widening"])


def _frozen(mapping: Mapping, number: int) -> MappingSpec:
    """What a revision says; Refused where there is none of that number."""
    revision = mapping.revisions.filter(number=number).first()
    if revision is None:
        latest = mapping.latest_revision
        text = f"it has {latest.number}" if latest else "it is a draft"
        raise Refused([Problem("", f"There is no revision {number} of {mapping}; {text}.")])
    return revision_spec(revision)


def _content(path: str) -> bytes:
    """What the file holds, up to just past the size that is refused; Refused where it cannot be read."""
    try:
        if path == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Refused([Problem("", f"The file {path} cannot be read: {error.strerror}.")]) from error
