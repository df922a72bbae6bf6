"""`manage.py environment set|list`: pairs of databases, source and target."""

from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser

from mappings.connections.sessions import check_url
from mappings.management.given import WAYS, given, with_password
from mappings.management.listing import add_listing, write_json
from mappings.management.refusing import RefusingCommand, named
from mappings.models import Environment
from mappings.planning.environment_identity import shared_target
from mappings.problems import Problem, Refused


class Command(RefusingCommand):
    help = "Set or list environments: pairs of databases, source and target."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        put = actions.add_parser("set", help="create an environment or change its addresses")
        put.add_argument("name")
        url = f"postgresql://user:password@host:port/database, or {WAYS}"
        for side in ("source", "target"):
            put.add_argument(f"--{side}", required=True, metavar="URL", help=url)
            put.add_argument(f"--{side}-password", metavar="FROM", help=f"the password of --{side}: {WAYS}")
        put.add_argument(
            "--after",
            metavar="NAME",
            help="the environment in which a mapping must be verified first; '' for none; without it as it was",
        )
        put.set_defaults(run=self.set)
        show = actions.add_parser("list", help="list the environments, without passwords")
        add_listing(show, "NAME")
        show.set_defaults(run=self.list)

    def set(self, options: dict[str, Any]) -> None:
        urls = {side: self._address(side, options) for side in ("source", "target")}
        problems = [Problem(f"--{side}", text) for side, url in urls.items() for text in check_url(url)]
        if problems:
            raise Refused(problems)
        environment = save_environment(options["name"], urls["source"], urls["target"], options["after"])
        source, target = environment.label("source"), environment.label("target")
        after = f", after {environment.after}" if environment.after else ""
        self.stdout.write(f"Environment {environment} is saved: {source} to {target}{after}.")

    def _address(self, side: str, options: dict[str, Any]) -> str:
        """Of one side, from wherever its parts are given."""
        url = given(f"--{side}", options[side], sys.stdin)
        way = options[f"{side}_password"]
        if way is None:
            return url
        option = f"--{side}-password"
        if way != "-" and not way.startswith(("env:", "file:")):
            raise Refused([Problem(option, f"give the password by {WAYS}")])
        return with_password(option, url, given(option, way, sys.stdin))

    def list(self, options: dict[str, Any]) -> None:
        found = Environment.objects.select_related("after").order_by("name")
        if options["after"] is not None:
            found = found.filter(name__gt=options["after"])
        rows = (_row(environment) for environment in found[: options["limit"]])
        if options["format"] == "json":
            write_json(rows, self.stdout)
            return
        for row in rows:
            after = f" (after {row['after']})" if row["after"] else ""
            self.stdout.write(f"{row['name']}: {row['source']} to {row['target']}{after}")


def _row(environment: Environment) -> dict[str, Any]:
    return {
        "name": environment.name,
        "source": environment.label("source"),
        "target": environment.label("target"),
        "after": environment.after.name if environment.after else None,
    }


def save_environment(name: str, source: str, target: str, after: str | None) -> Environment:
    """The environment of that name with these addresses, checked by the rules of the model.

    after: None leaves it as it was, so that new addresses or keys take no rule away; '' takes it away.
    """
    environment = Environment.objects.filter(name=name).first() or Environment(name=name)
    environment.source_url, environment.target_url = source, target
    if after is not None:
        environment.after = named(Environment, after) if after else None
    try:
        environment.full_clean()
    except ValidationError as error:
        by_field = error.message_dict.items()
        raise Refused(
            [Problem(field.strip("_"), text) for field, texts in by_field for text in texts]
        ) from error
    if problems := shared_target(
        environment
    ):  # asks databases, which must not be waited for in a transaction
        raise Refused(problems)
    environment.save()
    return environment
