"""How the commands say no: one problem a line on stderr, exit status 2, nothing changed, no traceback."""

from __future__ import annotations

import sys
from typing import Any, NoReturn, TypeVar

from django.core.management.base import BaseCommand
from django.db.models import Model

from mappings.problems import Problem, Refused

REFUSED = 2
AnyModel = TypeVar("AnyModel", bound=Model)


class RefusingCommand(BaseCommand):
    """A command whose subcommands each are one function: `options["run"](options)`."""

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            options["run"](options)
        except Refused as refused:
            self.refuse([str(problem) for problem in refused.problems])

    def refuse(self, lines: list[str]) -> NoReturn:
        for line in lines:
            self.stderr.write(line)
        sys.exit(REFUSED)


def named(model: type[AnyModel], name: str) -> AnyModel:
    """The environment or mapping of that name; Refused with the names there are."""
    row = model._default_manager.filter(name=name).first()
    if row is None:
        noun = model._meta.verbose_name
        known = ", ".join(model._default_manager.order_by("name").values_list("name", flat=True))
        have = f"known are: {known}." if known else "none is saved yet."
        raise Refused([Problem("", f"There is no {noun} called {name}; {have}")])
    return row
