"""Keeps in the history what was asked for and refused: who tried what on which run or mapping, and why not."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.contrib.auth.models import AbstractBaseUser

from jobs.history.record import NOTHING, REFUSED, About, of_run, reasons, record
from jobs.models import Run
from mappings.models import Environment, Mapping
from mappings.problems import Refused

P = ParamSpec("P")
T = TypeVar("T")


def kept(verb: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """An action whose refusal is recorded under that verb, once its transaction is undone."""

    def decorate(action: Callable[P, T]) -> Callable[P, T]:
        @wraps(action)
        def acted(*args: P.args, **named: P.kwargs) -> T:
            try:
                return action(*args, **named)
            except Refused as refusal:
                given = (*args, *named.values())
                record(_kind(given), verb, reasons(refusal.problems), _about(given), REFUSED, _actor(given))
                raise

        return acted

    return decorate


def _kind(given: tuple[Any, ...]) -> str:
    return "run" if any(isinstance(one, Run | Environment) for one in given) else "mapping"


def _actor(given: tuple[Any, ...]) -> Any:
    return next((one for one in given if isinstance(one, AbstractBaseUser)), None)


def _about(given: tuple[Any, ...]) -> About:
    for one in given:
        if isinstance(one, Run):
            return of_run(one)
    mapping = next((one for one in given if isinstance(one, Mapping)), None)
    environment = next((one for one in given if isinstance(one, Environment)), None)
    if mapping is None:
        return NOTHING
    last = mapping.revisions.order_by("number").values_list("number", "sha256").last()
    number, sha256 = last or (None, "")
    return About(mapping.name, number, sha256, environment.name if environment else "")
