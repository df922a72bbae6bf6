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

from mappings.sql import literal

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


SERVER = "extract(epoch FROM pg_postmaster_start_time())::text"
"""Tells a server from every other, and from itself before it was started again: what it forgot by a crash, and what
another in its place does not know, may come again under the same transaction ids."""

AGES = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


def _file(relation: str) -> str:
    return f"pg_relation_filenode({literal(relation)}::regclass)::text"


def frozen(relation: str) -> str:
    """(file, server, transaction below which all have ended, pages) of a table, in this order of looking."""
    return (
        f"SELECT {_file(relation)}, {SERVER}, pg_snapshot_xmin(pg_current_snapshot())::text::bigint,"
        f" pg_relation_size({literal(relation)}::regclass) / current_setting('block_size')::bigint"
    )


def standing(relation: str, pages: Pages) -> str:
    """Whether places and transactions mean what they meant when the walk began."""
    conditions = [f"{_file(relation)} = {literal(pages.file)}", f"{SERVER} = {literal(pages.server)}"]
    start = pages.below if pages.since is None else pages.since
    if start is not None:
        conditions.append(f"{AGES} - {start} BETWEEN 0 AND {FARTHEST}")
    return f"coalesce({' AND '.join(conditions)}, false)"


def condition(alias: str, relation: str, pages: Pages) -> str:
    """The condition that a source row is in the range, and that its version is one to be taken.

    Whether the walk stands is asked once in each statement, which by then has the table's lock.
    """
    conditions = [
        f"{alias}.ctid >= '({pages.first},0)'::tid",
        f"{alias}.ctid < '({pages.end},0)'::tid",
        f"(SELECT {standing(relation, pages)})",
    ]
    if pages.below is not None:
        conditions.append(_is_older(alias, pages.below))
    if pages.since is not None:
        conditions.append(f"NOT {_is_older(alias, pages.since)}")
    return " AND ".join(conditions)


def _is_older(alias: str, start: int) -> str:
    """Whether a version's writer is certainly older than a transaction: not within those since then, by 32 bits."""
    since = f"(age('{start % XIDS}'::xid)::bigint - age({alias}.xmin)) & {XIDS - 1}"
    return f"(({since}) >= (SELECT {AGES} - {start}))"
