"""What comparing two fingerprints of a table comes to: equal or not, why in words, and what nobody accounts for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from jobs.engine.target.fingerprints import Definitions, Digested, Named, Sequence, Writers

State = Literal["equal", "differs", "unseen"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison found, and in words what that means."""

    state: State
    texts: tuple[str, ...] = ()


Unexplained = tuple[str, ...]
"""Of what differs, in words, what neither other runs, nor others' rows, nor a wish of the operator's account for."""


def of_rows(was: Digested, now: Digested | None, wrote: Writers, *, by_hand: int, left: int) -> Verdict:
    """Whether the rows are as they were; and if not, what is known of why.

    by_hand: rows that exported scripts had brought before; left: rows of the run that were left on request.
    """
    if now is None:
        return Verdict("unseen", ("its rows were not looked at after the rollback",))
    if by_hand:
        return Verdict(
            "unseen", (f"exported scripts had brought {by_hand:,} of its rows before the run began",)
        )
    counted = was.rows is not None and now.rows is not None
    if (counted and now.rows != was.rows) or (was.digest and now.digest and now.digest != was.digest):
        return Verdict("differs", tuple(_why(was, now, wrote, left)))
    if not (was.digest and now.digest):
        why = now.why_not or was.why_not
        return Verdict("unseen", (why, f"{now.rows:,} rows, as many as then") if counted else (why,))
    return Verdict("equal")


def unexplained_rows(verdict: Verdict, was: Digested, wrote: Writers) -> Unexplained:
    """Of what of_rows found; and rows of which nobody can tell whether they are the run's."""
    if wrote.doubt:
        return (wrote.doubt,)
    return verdict.texts if verdict.state == "differs" and not _accounted_for(was, wrote) else ()


def of_backrefs(was: Digested, now: Digested | None) -> Verdict:
    """Whether the same rows of a source name rows of the target as did then."""
    if now is None:
        return Verdict("unseen", ("its back-references were not looked at after the rollback",))
    if was.digest and now.digest and was.rows is not None and now.rows is not None:
        if (was.rows, was.digest) == (now.rows, now.digest):
            return Verdict("equal")
        return Verdict("differs", (f"{now.rows:,} rows have a back-reference, {was.rows:,} had one then",))
    return Verdict("unseen", (now.why_not or was.why_not,))


def _accounted_for(was: Digested, wrote: Writers) -> bool:
    """Whether the rows that were there are as they were, and all others are of other runs, of people, or were left.

    What other runs overwrote cannot be told from here; it is proved when those are rolled back.
    """
    rest = wrote.rest
    if rest is None or rest.rows is None or was.rows is None:
        return False
    overwritten = (
        bool(wrote.ours) and not wrote.others and rest.rows < was.rows <= rest.rows + (wrote.ours or 0)
    )
    return overwritten or (rest.rows == was.rows and rest.digest == was.digest)


def _why(was: Digested, now: Digested, wrote: Writers, left: int) -> Iterator[str]:
    more = (now.rows or 0) - (was.rows or 0)
    if more:
        yield f"{abs(more):,} {_row(more)} {'more' if more > 0 else 'fewer'} than then"
    if left:
        yield f"{left:,} {_row(left)} of the run {_were(left)} left, as listed"
    if wrote.others:
        yield f"{wrote.others:,} {_row(wrote.others)} that no run wrote {_were(wrote.others)} added or changed since"
    if wrote.ours:
        yield f"{wrote.ours:,} {_row(wrote.ours)} {_were(wrote.ours)} written by other runs since"
    if wrote.others is None:
        yield "nothing tells any more who wrote its rows"
    elif not (wrote.others or wrote.ours or left):
        yield "no row of it was written since, so rows were deleted"
    elif _accounted_for(was, wrote) and wrote.rest and wrote.rest.rows == was.rows:
        yield f"without these the rows are as they were, all {was.rows:,} of them"


def _row(count: int) -> str:
    return "row" if abs(count) == 1 else "rows"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def of_schema(was: Definitions, now: Definitions | None, kept: str) -> Verdict:
    """Whether the definitions are as they were. kept: why schema steps were not undone, '' where all were."""
    if now is None:
        return Verdict("unseen", ("its definition was not looked at after the rollback",))
    changes = list(_changes(was, now))
    if not changes:
        return Verdict("equal")
    told = [kept.rstrip(".")] if kept else []
    return Verdict("differs", (*told, *(change.text for change in changes)))


def unexplained_schema(
    was: Definitions, now: Definitions | None, kept: str, by_steps: Collection[str]
) -> Unexplained:
    """Of what of_schema found. by_steps: the names of what the mapping's steps add or change."""
    changes = _changes(was, now) if now else ()
    return tuple(change.text for change in changes if not (kept and change.may_be_kept(by_steps)))


class Change(NamedTuple):
    """A column, index, constraint, trigger or sequence, how it was and is defined ('' where it is not there), and the
    columns that it is on."""

    kind: str
    name: str
    before: str
    after: str
    columns: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.kind} {self.name}: was {self.before or 'not there'}, is {self.after or 'not there'}"

    def may_be_kept(self, by_steps: Collection[str]) -> bool:
        """Whether it is of a step that was kept; what depends on a column whose width was kept reads otherwise too."""
        own = not set(by_steps).isdisjoint((self.name, *self.columns))
        return own or (bool(self.before and self.after) and self.kind != "column")


def _changes(was: Definitions, now: Definitions) -> Iterator[Change]:
    former, present = Counter(_defined(was, now)), Counter(_defined(now, was))
    gone = {(fact.kind, fact.name): fact for fact in former - present}
    new = {(fact.kind, fact.name): fact for fact in present - former}
    for kind, name in sorted({**gone, **new}):
        before, after = (facts.get((kind, name), Named(kind, name, "")) for facts in (gone, new))
        yield Change(kind, name, before.definition, after.definition, (*before.columns, *after.columns))


def _defined(one: Definitions, other: Definitions) -> Iterator[Named]:
    """Its facts, and how its sequences are defined; fingerprints of earlier versions do not say that."""
    yield from one.facts
    if not (_tells(one) and _tells(other)):
        return
    for sequence in one.sequences:
        yield Named("sequence", sequence.name, sequence.definition)


def _tells(definitions: Definitions) -> bool:
    return all(sequence.definition for sequence in definitions.sequences)


def of_sequences(was: Definitions, now: Definitions | None) -> Iterator[str]:
    """What is told of those that moved. A sequence is never set back: a number that was handed out may be in
    somebody's hands."""
    former = {sequence.name: sequence.last for sequence in was.sequences}
    for sequence in now.sequences if now else ():
        if former.get(sequence.name) != sequence.last:
            yield _moved(sequence, former.get(sequence.name))


def _moved(sequence: Sequence, before: int | None) -> str:
    return (
        f"{sequence.name} stands at {_number(sequence.last)}, stood at {_number(before)}: it is not set back, because"
        " numbers that were handed out may be known elsewhere"
    )


def _number(last: int | None) -> str:
    return "no number yet" if last is None else f"{last:,}"
