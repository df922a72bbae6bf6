"""Ranges of a source table's pages: which of their row versions a walk takes, so that it takes no row twice.

At its start a walk is frozen: the file and the server that it reads, how many pages there are, and a transaction id
below which all had ended (pg_snapshot_xmin; the list of those under way would not do, as it leaves out their
subtransactions). Of a row one version at most was written before that and can still be seen, however often the row
changes meanwhile: whoever replaced an older version was through as well. So chunks of the walk may read at any time,
in any order and side by side, without a snapshot that stays open.

A row carries 32 bits of the id of its writer, also where it was frozen long ago. Of the ids that end in these bits the
latest that there can be is meant: if that one is before the start, so is every other. If it is not, the row may be new
or very old; such a row is left to the sweep, which looks first whether the target has it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mappings.sql import Sql, compose, joined, literal, verbatim

XIDS = 2**32
FARTHEST = 2**31 - 1
"""Transactions since the start up to which the bits tell an older row from a newer one."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages from `first` up to but not including `end` of one file of one server.

    below: only versions whose writer is certainly older than this transaction; since: only all others. None: all.
    file, server: as `frozen` reads them. Where one is another by now, a range has no rows. again: an earlier walk may
    have brought some of the rows.
    """

    first: int
    end: int
    file: str
    server: str
    below: int | None = None
    since: int | None = None
    again: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is no page in it."""
        return self.first >= self.end


SERVER = verbatim("extract(epoch FROM pg_postmaster_start_time())::text")
"""Tells a server from every other, and from itself before it was started again: what it forgot by a crash, and what
another in its place does not know, may come again under the same transaction ids."""

AGES = verbatim("pg_snapshot_xmax(pg_current_snapshot())::text::bigint")


def _file(relation: str) -> Sql:
    return compose("pg_relation_filenode({}::regclass)::text", literal(relation))


def frozen(relation: str) -> Sql:
    """(file, server, transaction below which all have ended, pages) of a table, in this order of looking."""
    return compose(
        "SELECT {file}, {server}, pg_snapshot_xmin(pg_current_snapshot())::text::bigint,"
        " pg_relation_size({relation}::regclass) / current_setting('block_size')::bigint",
        file=_file(relation), server=SERVER, relation=literal(relation),
    )  # fmt: skip


def standing(relation: str, pages: Pages) -> Sql:
    """Whether places and transactions mean what they meant when the walk began."""
    conditions = [
        compose("{} = {}", _file(relation), literal(pages.file)),
        compose("{} = {}", SERVER, literal(pages.server)),
    ]
    start = pages.below if pages.since is None else pages.since
    if start is not None:
        conditions.append(compose("{} - {} BETWEEN 0 AND {}", AGES, start, FARTHEST))
    return compose("coalesce({}, false)", joined(" AND ", conditions))


def condition(alias: Sql, relation: str, pages: Pages) -> Sql:
    """The condition that a source row is in the range, and that its version is one to be taken.

    Whether the walk stands is asked once in each statement, which by then has the table's lock.
    """
    conditions = [
        compose("{}.ctid >= '({},0)'::tid", alias, pages.first),
        compose("{}.ctid < '({},0)'::tid", alias, pages.end),
        compose("(SELECT {})", standing(relation, pages)),
    ]
    if pages.below is not None:
        conditions.append(_is_older(alias, pages.below))
    if pages.since is not None:
        conditions.append(compose("NOT {}", _is_older(alias, pages.since)))
    return joined(" AND ", conditions)


def _is_older(alias: Sql, start: int) -> Sql:
    """Whether a version's writer is certainly older than a transaction: not within those since then, by 32 bits."""
    since = compose("(age('{}'::xid)::bigint - age({}.xmin)) & {}", start % XIDS, alias, XIDS - 1)
    return compose("(({}) >= (SELECT {} - {}))", since, AGES, start)
