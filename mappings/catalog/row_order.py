"""Whether a table's rows lie in the order of a column, and how much of it its server keeps in memory.

In the order of keys that lie at random each row costs a page, as soon as the table is larger than the server keeps.
What it keeps for certain is shared_buffers; effective_cache_size is not asked, as most installations leave it at 4 GB
whatever their memory is. In memory all ways to read a table take the same time.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from mappings.sql import encoded, verbatim

AT_RANDOM = 0.5
"""Below this correlation of a column with the place of its row (pg_stats) the neighbours of a value lie anywhere."""


@dataclass(frozen=True, slots=True)
class RowOrder:
    """How a table lies. correlation: of the column with the place of the row, 0 to 1, None: nobody knows; kind:
    pg_class.relkind; size: its bytes, a partitioned table's with its partitions; memory: bytes that its server keeps
    of all tables; said, kept: size and memory in words."""

    correlation: float | None = None
    kind: str = ""
    size: int = 0
    memory: int = 0
    said: str = ""
    kept: str = ""

    @property
    def is_at_random(self) -> bool:
        """Whether neighbouring values lie on different pages."""
        return self.correlation is not None and self.correlation < AT_RANDOM


LOOK = verbatim("""
SELECT x.correlation, x.kind, x.size, x.memory, pg_size_pretty(x.size), pg_size_pretty(x.memory)
  FROM (SELECT abs(s.correlation) AS correlation, c.relkind::text AS kind,
               pg_size_bytes(current_setting('shared_buffers')) AS memory,
               CASE c.relkind WHEN 'p' THEN (SELECT coalesce(sum(pg_table_size(p.relid)), 0)::bigint
                                               FROM pg_partition_tree(c.oid) AS p)
                              WHEN 'r' THEN pg_table_size(c.oid) ELSE 0 END AS size
          FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
          LEFT JOIN pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = %(column)s
           AND s.inherited = (c.relkind = 'p')
         WHERE c.oid = to_regclass(%(relation)s)) AS x
""")


def read(conn: psycopg.Connection, relation: str, column: str) -> RowOrder:
    """How a table (its SQL name) lies by what is known of a column; all of it unknown where the table is gone."""
    row = conn.execute(encoded(LOOK), {"relation": relation, "column": column}).fetchone()
    return RowOrder(*row) if row else RowOrder()
