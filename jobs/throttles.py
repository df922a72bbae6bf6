"""Throttles: what an operator asks of a run so that others are not disturbed, as frozen values and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from mappings.problems import Problem, Refused

LONGEST_QUERY = 5_000
LARGEST = 10**12
PACE = ("pause_between_chunks", "rows_per_second")
"""Those that need no look into the databases; zero takes them away."""

OFF = ("", "off")
"""What an operator writes to take a throttle away."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """One throttle as operators meet it. sentence: how it is said once set, with {} for its value."""

    name: str
    title: str
    kind: Literal["seconds", "count", "query"]
    sentence: str
    hint: str

    @property
    def option(self) -> str:
        """Its name on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_query(self) -> bool:
        """Whether its value is SQL of the operator's own."""
        return self.kind == "query"


ALL = (
    Throttle(
        "pause_between_chunks", "Pause between chunks, seconds", "seconds",
        "it pauses {} s after each chunk", "after a chunk none of the run's workers begins another for so long",
    ),
    Throttle(
        "rows_per_second", "Rows per second", "count",
        "it moves {} rows a second", "of all workers of the run together, on average",
    ),
    Throttle(
        "replication_lag_seconds", "Wait while replicas lag more than, seconds", "seconds",
        "it waits while a replica of the target lags more than {} s", "the slowest replica of the target's server",
    ),
    Throttle(
        "replication_lag_bytes", "Wait while replicas lag more than, bytes", "count",
        "it waits while a replica of the target lags more than {} bytes", "of write-ahead log not replayed yet",
    ),
    Throttle(
        "active_sessions", "Wait while more sessions are active than", "count",
        "it waits while more than {} other sessions are active in the target", "in its database, ours not counted",
    ),
    Throttle(
        "lock_wait_seconds", "Wait while others queue for locks longer than, seconds", "seconds",
        "it waits while somebody waits longer than {} s for a lock on its tables", "on the tables that the run writes",
    ),
    Throttle(
        "source_query", "Wait while this query on the source says so", "query",
        "it waits while {} says so on the source", "true, or a text: wait; read-only, within 2 s",
    ),
    Throttle(
        "target_query", "Wait while this query on the target says so", "query",
        "it waits while {} says so on the target", "true, or a text: wait; read-only, within 2 s",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Throttles:
    """The throttles of one run; None: not throttled that way."""

    pause_between_chunks: float | None = None
    rows_per_second: int | None = None
    replication_lag_seconds: float | None = None
    replication_lag_bytes: int | None = None
    active_sessions: int | None = None
    lock_wait_seconds: float | None = None
    source_query: str | None = None
    target_query: str | None = None

    @property
    def signals(self) -> bool:
        """Whether anything has to be looked up in the databases."""
        return any(name not in PACE for name in self.to_json())

    def to_json(self) -> dict[str, Any]:
        """What is set, as kept on a Run."""
        return {
            field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Throttles:
        """The throttles that `to_json` wrote."""
        return cls(**data)

    def sentences(self) -> list[str]:
        """What is set, in words."""
        return [
            throttle.sentence.format(_in_words(value))
            for throttle in ALL
            if (value := getattr(self, throttle.name)) is not None
        ]

    def changed(self, texts: Mapping[str, str]) -> Throttles:
        """These throttles with those named in `texts` set as written there. Refused, listing what makes no sense."""
        values: dict[str, Any] = {}
        problems = []
        for throttle in ALL:
            if throttle.name in texts:
                try:
                    values[throttle.name] = _value(throttle, texts[throttle.name].strip())
                except ValueError as error:
                    problems.append(Problem(throttle.name, str(error)))
        if problems:
            raise Refused(problems)
        return replace(self, **values)


NONE = Throttles()


def _value(throttle: Throttle, text: str) -> float | int | str | None:
    """ValueError, in a sentence, for what makes no sense."""
    if text.lower() in OFF:
        return None
    if throttle.kind == "query":
        if len(text) > LONGEST_QUERY:
            raise ValueError(f"a query of at most {LONGEST_QUERY:,} characters is taken")
        return text.rstrip("; \n")
    try:
        number = float(text) if throttle.kind == "seconds" else int(text.replace(",", "").replace("_", ""))
    except ValueError:
        what = "a number of seconds" if throttle.kind == "seconds" else "a whole number"
        raise ValueError(f"{text[:40]!r} is not {what}") from None
    if not 0 <= number <= LARGEST:
        raise ValueError(f"{text[:40]} is not between 0 and {LARGEST:,}")
    return None if number == 0 and throttle.name in PACE else number


def _in_words(value: float | int | str) -> str:
    if isinstance(value, str):
        return f"“{value if len(value) <= 60 else value[:59] + '…'}”"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
