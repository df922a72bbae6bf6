"""Rows of a run that somebody edited since, at a rollback that leaves those: found, and let go of before it begins.

What they point to stays with them, or nobody could leave them: a reference must not lead nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from jobs.engine import feed
from jobs.engine.feed import Work, run_sql
from jobs.engine.moving import backrefs
from jobs.engine.sql.rollback import leave
from jobs.engine.sql.walks.chunk_range import Range
from jobs.engine.target import ledger, witnesses
from jobs.engine.target.ledger import Done, Ticket
from jobs.engine.target.rollback_blockers import foreign_keys
from mappings.sql import encoded

PHASE = "leave"
AT_ONCE = 5_000
EDITED = "edited"


class LeftRow(NamedTuple):
    """A row that is left: its target key, and why."""

    target: str | None
    why: str


Left = dict[str, dict[str, LeftRow]]
"""By table mapping and source key."""


class Link(NamedTuple):
    """How rows of a child point to a parent: (child column, parent column), and the schemas of their operators."""

    child: Work
    pairs: Sequence[tuple[str, str]]
    operators: Sequence[str]


def find(works: Sequence[Work]) -> Left:
    """The edited rows of a run, and those of its rows to which they point, however far that leads."""
    left: Left = {work.table.name: _edited(work) for work in works}
    links = [(parent, link) for parent in works for link in _links(parent, works)]
    new: Mapping[str, Sequence[str]] = {name: list(rows) for name, rows in left.items()}
    while any(new.values()):
        result: dict[str, list[str]] = {}
        for parent, link in links:
            for key, target in _pointed_to(parent, link, new.get(link.child.table.name, ())):
                rows = left[parent.table.name]
                if key not in rows:
                    rows[key] = LeftRow(
                        target, f"a row of {link.child.table.target} that is left points to it"
                    )
                    result.setdefault(parent.table.name, []).append(key)
        new = result
    return left


def _edited(work: Work) -> dict[str, LeftRow]:
    statement = leave.edited(work)
    return {key: LeftRow(target, EDITED) for key, target in run_sql(work.target, statement)}


def _links(parent: Work, works: Sequence[Work]) -> Iterator[Link]:
    """By foreign keys, and by the mapping's own references where there is none."""
    keys = foreign_keys(parent)
    for child in works:
        for key in keys:
            if key.table == child.table.into.target_sql:
                yield Link(child, key.pairs, key.operators)
        for ref in child.table.references:
            if ref.parent == parent.table.name and not ref.inside:
                yield Link(child, [(ref.target, ref.value_column)], [ref.operators])


def _pointed_to(parent: Work, link: Link, keys: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    child = link.child
    for some in _batches(keys):
        statement = leave.pointed_to(parent, child, keys=some, pairs=link.pairs, operators=link.operators)
        yield from run_sql(parent.target, statement).fetchall()


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[start : start + AT_ONCE] for start in range(0, len(keys), AT_ONCE))


def leave_edited(works: Sequence[Work], epoch: int) -> Left:
    """Lets go of the edited rows, once, in one transaction; what was let go of, also if that was before."""
    conn = works[0].target
    before = _left_before(works)
    if before is not None:
        return before
    left = find(works)
    for work in works:
        if work.table.link.backref and left[work.table.name]:
            backrefs.clear(work, Range(only=tuple(left[work.table.name])))
    with conn.transaction():
        ledger.fence(conn, _ticket(works[0], epoch))
        for work in works:
            release(work, left[work.table.name])
            rows = left[work.table.name]
            ledger.record(conn, _ticket(work, epoch), Done(inserted=len(rows), updated=len(rows)))
    return left


def release(work: Work, rows: Mapping[str, LeftRow]) -> None:
    """In a transaction."""
    feed.hush(work)
    owners = witnesses.is_owners(work.table)
    for some in _batches(list(rows)):
        named = [(key, rows[key].target, rows[key].why) for key in some]
        run_sql(work.target, leave.note(work, named))
        for statement in leave.release(work, some, owners=owners):
            feed.changed_by(work.target, statement)
    feed.settle(work)


def _ticket(work: Work, epoch: int) -> Ticket:
    return Ticket(work.run, epoch, work.table.name, PHASE, 0, Range())


def _left_before(works: Sequence[Work]) -> Left | None:
    """What this rollback let go of already; None if it has not come to that."""
    if ledger.recorded(works[0].target, _ticket(works[0], 0)) is None:
        return None
    left: Left = {work.table.name: {} for work in works}
    for table, key, target, why in works[0].target.execute(encoded(leave.LEFT), [works[0].run]):
        left[table][key] = LeftRow(target, why)
    return left
