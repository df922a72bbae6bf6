"""`manage.py environment set|list`: pairs of databases, source and target."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser

from mappings.connections.sessions import check_url
from mappings.language.checks import PARAMETER
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
            put.add_argument(f"--{side}", metavar="URL", help=f"{url}; needed for a new environment")
            put.add_argument(f"--{side}-password", metavar="FROM", help=f"the password of --{side}: {WAYS}")
        put.add_argument(
            "--after",
            metavar="NAME",
            help="the environment in which a mapping must be verified first; '' for none; without it as it was",
        )
        put.add_argument(
            "--param", action="append", default=[], metavar="NAME=VALUE",
            help="the value of a parameter of mappings, any number of times; NAME alone takes it away",
        )  # fmt: skip
        put.set_defaults(run=self.set)
        show = actions.add_parser("list", help="list the environments, without passwords")
        add_listing(show, "NAME")
        show.set_defaults(run=self.list)

    def set(self, options: dict[str, Any]) -> None:
        urls = {side: self._address(side, options) for side in ("source", "target")}
        parameters, problems = changed_parameters(options["param"])
        problems += [
            Problem(f"--{side}", text) for side, url in urls.items() if url for text in check_url(url)
        ]
        if not Environment.objects.filter(name=options["name"]).exists():
            text = "a new environment needs the address of its {} database"
            problems += [Problem(f"--{side}", text.format(side)) for side, url in urls.items() if url is None]
        if problems:
            raise Refused(problems)
        environment = save_environment(
            options["name"], urls["source"], urls["target"], options["after"], parameters
        )
        source, target = environment.label("source"), environment.label("target")
        after = f", after {environment.after}" if environment.after else ""
        self.stdout.write(f"Environment {environment} is saved: {source} to {target}{after}.")

    def _address(self, side: str, options: dict[str, Any]) -> str | None:
        """Of one side, from wherever its parts are given; None where it stays as it was."""
        if options[side] is None:
            return None
        url = given(f"--{side}", options[side], sys.stdin)
        way = options[f"{side}_password"]
        if way is None:
            return url
        option = f"--{side}-password"
        if way != "-" and not way.startswith(("env:", "file:")):
            raise Refused([Problem(option, f"give the password by {WAYS}")])
        return with_password(option, url, given(option, way, sys.stdin))

    def list(self, options: dict[str, Any]) -> None:
        environments = Environment.objects.select_related("after").order_by("name")
        if options["after"] is not None:
            environments = environments.filter(name__gt=options["after"])
        rows = (_row(environment) for environment in environments[: options["limit"]])
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
        **({"params": environment.parameters} if environment.parameters else {}),
    }


def changed_parameters(given: Sequence[str]) -> tuple[dict[str, str | None], list[Problem]]:
    """By name the values of `NAME=VALUE`, None for a NAME alone; and what is wrong with the names."""
    result: dict[str, str | None] = {}
    problems: list[Problem] = []
    for text in given:
        name, equals, value = text.partition("=")
        if not PARAMETER.fullmatch(name):
            problems.append(Problem("--param", f"{name!r} is no name of a parameter; write NAME=VALUE"))
        result[name] = value if equals else None
    return result, problems


def save_environment(
    name: str,
    source: str | None,
    target: str | None,
    after: str | None,
    parameters: Mapping[str, str | None] = MappingProxyType({}),
) -> Environment:
    """The environment of that name with these addresses, checked by the rules of the model.

    None leaves an address or `after` as it was, so that new addresses or keys take no rule away; '' takes `after` away.
    parameters: those that change, None for one that goes.
    """
    environment = Environment.objects.filter(name=name).first() or Environment(name=name)
    environment.source_url = environment.source_url if source is None else source
    environment.target_url = environment.target_url if target is None else target
    values = {**environment.parameters, **parameters}
    environment.parameters = {key: value for key, value in values.items() if value is not None}
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
