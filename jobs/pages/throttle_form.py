"""The form of throttles: its fields, on the run's page and on the review, and what was written into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.throttles import ALL, NONE, Throttle, Throttles
from mappings.problems import Problem

NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class ThrottleField:
    """One field: what stands in it, and what is wrong with that."""

    throttle: Throttle
    text: str
    problem: str = ""


def fields_of(
    throttles: Throttles = NONE, typed: Mapping[str, str] = NOTHING, problems: Sequence[Problem] = ()
) -> list[ThrottleField]:
    """The form's fields. typed: what an operator wrote, in place of what is in force."""
    wrong = {problem.path: problem.text for problem in problems}
    return [
        ThrottleField(
            throttle,
            typed.get(throttle.name, _text(getattr(throttles, throttle.name))),
            wrong.get(throttle.name, ""),
        )
        for throttle in ALL
    ]


def _text(value: float | int | str | None) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def typed_in(posted: Mapping[str, str], queries: bool) -> dict[str, str]:
    """What was written into the form. queries: whether the account may have SQL of its own run."""
    return {
        throttle.name: posted[throttle.name]
        for throttle in ALL
        if throttle.name in posted and (queries or not throttle.is_query)
    }
