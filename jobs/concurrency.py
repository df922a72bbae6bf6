"""How many sessions work on a run's chunks at once: as many as were measured, in this run, to bring something.

Sessions that write one table queue for the last page of an index, the log and the table's extension. Once the server is
busy one more costs CPU and brings nothing, and only a trial tells when that is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import hypot, sqrt
from statistics import stdev
from typing import Any, NamedTuple

MEASURED_SECONDS = 3.0
"""For so long at least a number of sessions is measured: several chunks of each."""

CHUNKS_EACH = 3
"""Of each session so many chunks at least."""

STEADY = 0.75
"""The slower half of what was measured goes at this part of the faster one's speed, or it is not steady yet."""

GAIN = 1.1
"""What more sessions must bring to be kept: less is not worth what they cost."""

CLEAR = 1.25
"""A gain below that is measured for twice as long."""

SURE = 3.0
"""By so many standard errors of what was measured the gain is more than noise, too."""

WORTH_SECONDS = 10.0
"""Where less is left to do, no more sessions are tried: a trial takes five, in which the others may cost a tenth."""

AGAIN_SECONDS = 300.0
"""How long after a trial that brought nothing another one is made: other runs end, indexes are built."""

NOBODY_SECONDS = 30.0
"""The same after a trial that told nothing: nobody came, or the table was through."""


class Done(NamedTuple):
    """A chunk that was done. kind: the table and phase, as speeds of others cannot be held against it; ended: seconds
    of the epoch, by the control database's clock."""

    kind: str
    worker: str
    rows: int
    seconds: float
    ended: float

    @property
    def began(self) -> float:
        """In seconds of the epoch."""
        return self.ended - self.seconds


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How many sessions may hold chunks of a run at once, and why.

    since: when it became so many, seconds of the epoch; workers: how many there were then. While more are on trial,
    `before` says how many there were, `sessions` how many of them were at work, `speeds` the rows per second of one of
    them, by kind of chunk, and `doubt` the standard error of that as a part of it. tried: how many the last trial was
    of, with the rows per second `rate` before it and `tried_rate` in it; again: no trial before then.
    """

    limit: int
    stage: str
    since: float
    workers: int = 0
    before: int = 0
    sessions: int = 0
    doubt: float = 0.0
    speeds: Mapping[str, float] = field(default_factory=dict)
    tried: int = 0
    rate: float = 0.0
    tried_rate: float = 0.0
    again: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As kept on a Run."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Concurrency:
        """What `to_json` wrote."""
        return cls(**data)

    def of_stage(self, stage: str, now: float) -> Concurrency:
        """The same in that stage: it begins with as many as the one before had, and measures for itself."""
        if stage == self.stage:
            return self
        return Concurrency(self.before or self.limit, stage, now, self.workers)

    def sentence(self) -> str:
        """In words; '' where all workers are let in and nothing is measured."""
        of = f"{self.limit:,} of {self.workers:,} workers"
        rates = f"{self.rate:,.0f} and {self.tried_rate:,.0f} rows a second"
        if self.before:
            return f"{of}, on trial: {self.before:,} moved {self.rate:,.0f} rows a second"
        if self.tried > self.limit:
            return f"{of}: more brought nothing ({rates} with {self.limit:,} and {self.tried:,})"
        if self.tried:
            return f"{of}: more brought more ({rates} before and with {self.tried:,})"
        return f"{of}: more are tried once the rate is steady" if self.limit < self.workers else ""


def decided(
    state: Concurrency, done: Sequence[Done], now: float, workers: int, left: int
) -> Concurrency | None:
    """What becomes of it by what was measured; None where there is nothing to decide yet.

    done: chunks that began since, of its stage, in the order of their ends; workers: how many there are; left: rows.
    """
    if now - state.since < MEASURED_SECONDS:
        return None
    if state.before:
        return _judged(state, done, now, workers, left)
    if now < state.again or workers <= state.limit:
        return None
    measured = _latest(done, now, state.limit)
    if len(measured) < CHUNKS_EACH * state.limit or not _is_steady(measured):
        return None
    following = _more(state, measured, now, workers)
    return following if left >= WORTH_SECONDS * following.rate else None


def _more(state: Concurrency, measured: Sequence[Done], now: float, workers: int) -> Concurrency:
    """Twice as many on trial: one by one would take minutes where there are many."""
    kinds = {one.kind for one in measured}
    speeds = {kind: _speed([one for one in measured if one.kind == kind]) for kind in sorted(kinds)}
    sessions = _sessions(measured, state.limit)
    return replace(
        state, limit=min(2 * state.limit, workers), since=now, workers=workers, before=state.limit,
        sessions=sessions, speeds=speeds, rate=sessions * _speed(measured), doubt=_doubt(measured),
    )  # fmt: skip


def _judged(
    state: Concurrency, done: Sequence[Done], now: float, workers: int, left: int
) -> Concurrency | None:
    """The end of a trial: more are kept if they brought more, and what was measured serves for the next one."""
    alike = [one for one in _without_firsts(done) if state.speeds.get(one.kind)]
    sessions = _sessions(alike, state.limit)
    settled = replace(state, since=now, workers=workers, before=0, speeds={})
    if len(alike) < CHUNKS_EACH * state.limit:
        is_over = len(done) >= 3 * CHUNKS_EACH * state.limit or now - state.since > NOBODY_SECONDS > _longest(
            done
        )
        return replace(settled, limit=state.before, again=now + NOBODY_SECONDS) if is_over else None
    if sessions <= state.sessions:
        return replace(settled, limit=state.before, again=now + NOBODY_SECONDS)
    took, would_have = (
        sum(one.seconds for one in alike),
        sum(one.rows / state.speeds[one.kind] for one in alike),
    )
    gain = sessions / state.sessions * would_have / max(took, 0.001)
    if GAIN <= gain < CLEAR and len(alike) < 2 * CHUNKS_EACH * state.limit:
        return None
    told = replace(settled, tried=state.limit, tried_rate=gain * state.rate)
    if gain < max(GAIN, 1 + SURE * hypot(state.doubt, _doubt(alike))):
        return replace(told, limit=state.before, again=now + AGAIN_SECONDS)
    if workers > told.limit and left >= WORTH_SECONDS * told.tried_rate:
        return _more(told, alike, now, workers)
    return told


def _without_firsts(done: Sequence[Done]) -> list[Done]:
    """Without the first of each session, at whose time the others may not have been there."""
    firsts = {one.worker: one for one in sorted(done, key=lambda one: one.began, reverse=True)}
    return [one for one in done if one is not firsts[one.worker]]


def _latest(done: Sequence[Done], now: float, limit: int) -> Sequence[Done]:
    """Of the last seconds, or the last few where chunks take long."""
    lately = [one for one in done if one.began >= now - MEASURED_SECONDS]
    return lately if len(lately) >= CHUNKS_EACH * limit else done[-CHUNKS_EACH * limit :]


def _is_steady(measured: Sequence[Done]) -> bool:
    """Whether both halves of them went at about one speed; chunks that are still small do not, nor tables that end."""
    half = len(measured) // 2
    if half == 0:
        return False
    slower, faster = sorted((_speed(measured[:half]), _speed(measured[half:])))
    return slower > 0 and slower >= STEADY * faster


def _sessions(measured: Sequence[Done], limit: int) -> int:
    return min(limit, len({one.worker for one in measured}))


def _speed(measured: Sequence[Done]) -> float:
    """Rows per second of one session."""
    took = sum(one.seconds for one in measured)
    return sum(one.rows for one in measured) / took if took else 0.0


def _doubt(measured: Sequence[Done]) -> float:
    """The standard error of the speed as a part of it, by how the seconds of a row vary within each kind."""
    kinds = {one.kind: _speed([other for other in measured if other.kind == one.kind]) for one in measured}
    ratios = [one.seconds * kinds[one.kind] / one.rows for one in measured if one.rows]
    return stdev(ratios) / sqrt(len(ratios)) if len(ratios) > 1 else 1.0


def _longest(done: Sequence[Done]) -> float:
    return max((one.seconds for one in done), default=0.0)
