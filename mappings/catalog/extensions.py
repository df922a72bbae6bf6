"""What installed extensions bring to expressions: their operators, functions and types, with the schema they are in.

Only immutable ones, and only those whose owner is a superuser, as he is of all that an extension's own script makes:
whoever owns an extension may add functions of his own to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import psycopg

from mappings.catalog.kept import kept
from mappings.catalog.own_path import own_path
from mappings.sql import NOTHING, Sql, compose, encoded, joined, printed, verbatim

UNKNOWN = 705
"""PostgreSQL: the type of a constant whose place has not decided it yet."""

_MEMBERS = """
SELECT x.extname::text, {columns}
  FROM pg_depend AS d
  JOIN pg_extension AS x ON x.oid = d.refobjid
  JOIN {catalog} AS o ON o.oid = d.objid
  {joins}
 WHERE d.classid = '{catalog}'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' {conditions}
 ORDER BY o.oid
"""
_OWNED = verbatim("JOIN pg_roles AS r ON r.oid = p.proowner AND r.rolsuper")
OPERATORS = compose(
    _MEMBERS,
    columns=verbatim("n.nspname::text, o.oprname::text, o.oprleft::bigint, o.oprright::bigint"),
    catalog=verbatim("pg_operator"),
    joins=joined(
        "",
        [
            verbatim(
                "JOIN pg_namespace AS n ON n.oid = o.oprnamespace JOIN pg_proc AS p ON p.oid = o.oprcode "
                "JOIN pg_roles AS s ON s.oid = o.oprowner AND s.rolsuper "
            ),
            _OWNED,
        ],
    ),
    conditions=verbatim("AND p.provolatile = 'i'"),
)
"""Each operator of an extension, with its operands' types (0: none)."""

FUNCTIONS = compose(
    _MEMBERS,
    columns=verbatim(
        "n.nspname::text, p.proname::text, p.proargtypes::oid[]::bigint[], p.provariadic::bigint"
    ),
    catalog=verbatim("pg_proc"),
    joins=joined(
        "",
        [
            verbatim("JOIN pg_proc AS p ON p.oid = o.oid JOIN pg_namespace AS n ON n.oid = p.pronamespace "),
            _OWNED,
        ],
    ),
    conditions=verbatim(
        "AND p.provolatile = 'i' AND NOT p.proretset AND p.prokind = 'f' AND NOT EXISTS (SELECT FROM"
        " unnest(p.prorettype || p.proargtypes::oid[]) AS t(oid)"
        " WHERE t.oid IN ('internal'::regtype, 'cstring'::regtype, 'trigger'::regtype))"
    ),
)
"""Each immutable function of an extension that gives one value for values."""

TYPES = compose(
    _MEMBERS,
    columns=verbatim("n.nspname::text, o.typname::text, o.oid::bigint, o.typarray::bigint"),
    catalog=verbatim("pg_type"),
    joins=verbatim("JOIN pg_namespace AS n ON n.oid = o.typnamespace"),
    conditions=NOTHING,
)

IMPLICIT_CASTS = verbatim(
    "SELECT castsource::bigint, casttarget::bigint FROM pg_cast WHERE castcontext = 'i'"
)

BASE_TYPE = verbatim("""
WITH RECURSIVE base(oid, next) AS (
    SELECT t.oid, t.typbasetype FROM pg_type AS t WHERE t.oid = %s
    UNION ALL SELECT t.oid, t.typbasetype FROM base JOIN pg_type AS t ON t.oid = base.next)
SELECT t.oid::bigint, t.typcategory::text, t.typelem::bigint, e.typcategory::text
  FROM base JOIN pg_type AS t ON t.oid = base.oid LEFT JOIN pg_type AS e ON e.oid = t.typelem
 WHERE base.next = 0
""")
"""A type without its domains, its category, and those of its elements."""

HOLDS_TIME = verbatim("""
WITH RECURSIVE inside(oid) AS (
    SELECT to_regtype(%s)::oid
    UNION SELECT part.oid FROM inside JOIN pg_type AS t ON t.oid = inside.oid, LATERAL (
        SELECT t.typbasetype UNION ALL SELECT t.typelem
        UNION ALL SELECT r.rngsubtype FROM pg_range AS r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
        UNION ALL SELECT a.atttypid FROM pg_attribute AS a
                   WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS part(oid)
     WHERE part.oid <> 0)
SELECT EXISTS (SELECT FROM inside WHERE oid IN
           ('date'::regtype, 'time'::regtype, 'timetz'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)),
       EXISTS (SELECT FROM inside JOIN pg_type AS t USING (oid) WHERE t.typtype = 'c')
""")
"""Whether a date or time is read when a text becomes one of this type, and whether it has fields of other types too."""

Times = Literal["none", "alone", "among others"]


@dataclass(frozen=True, slots=True)
class ExtensionOperator:
    """left: 0 for a prefix operator."""

    extension: str
    schema: str
    name: str
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class ExtensionFunction:
    """variadic: the type of what the last argument may be repeated of, 0 for none."""

    extension: str
    schema: str
    name: str
    arguments: tuple[int, ...]
    variadic: int


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """A type without domains. category: as in pg_type; element, element_category: of an array."""

    oid: int
    category: str
    element: int
    element_category: str | None

    @property
    def is_text(self) -> bool:
        """Whether it, or what it is an array of, is turned into other types by its text."""
        return "S" in (self.category, self.element_category) or self.oid == UNKNOWN


@dataclass(frozen=True, slots=True)
class Extensions:
    """All that the installed extensions bring. types: by oid, the name as SQL; casts: (from, to) that go unasked."""

    installed: frozenset[str] = frozenset()
    operators: tuple[ExtensionOperator, ...] = ()
    functions: tuple[ExtensionFunction, ...] = ()
    types: frozenset[int] = frozenset()
    casts: frozenset[tuple[int, int]] = frozenset()
    operator_names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "operator_names", frozenset(operator.name for operator in self.operators))


@kept(most=1)
def read(conn: psycopg.Connection[Any]) -> Extensions:
    """What the extensions of this database bring; of those that expressions have no use for, nothing."""
    types = frozenset(oid for row in conn.execute(encoded(TYPES)) for oid in row[3:5] if oid)
    return Extensions(
        frozenset(str(name) for (name,) in conn.execute("SELECT extname::text FROM pg_extension")),
        tuple(ExtensionOperator(*row) for row in conn.execute(encoded(OPERATORS))),
        tuple(
            ExtensionFunction(extension, schema, name, tuple(arguments), variadic)
            for extension, schema, name, arguments, variadic in conn.execute(encoded(FUNCTIONS))
        ),
        types,
        frozenset((source, target) for source, target in conn.execute(encoded(IMPLICIT_CASTS))),
    )


@kept(most=1000)
def type_facts(conn: psycopg.Connection[Any], oid: int) -> TypeFacts:
    """What is known of a type; of one that is not there, that it is unknown."""
    row = conn.execute(encoded(BASE_TYPE), [oid]).fetchone()
    return TypeFacts(*row) if row else TypeFacts(UNKNOWN, "X", 0, None)


@kept(most=1000)
def type_sql(conn: psycopg.Connection[Any], oid: int) -> Sql:
    """A type as SQL names it under any path."""
    row = conn.execute(
        "SELECT quote_ident(n.nspname) || '.' || quote_ident(t.typname) FROM pg_type AS t"
        " JOIN pg_namespace AS n ON n.oid = t.typnamespace WHERE t.oid = %s",
        [oid],
    ).fetchone()
    assert row is not None
    return printed(row[0])


@kept(most=1000)
def times_in(conn: psycopg.Connection[Any], type_name: str) -> Times:
    """What dates and times a text of this type holds, in elements and bounds alone or in fields beside others.

    type_name: as SQL names it.
    """
    holds, has_fields = conn.execute(encoded(HOLDS_TIME), [type_name]).fetchone() or (False, False)
    return "none" if not holds else "among others" if has_fields else "alone"


@kept(most=1000)
def schema_of(conn: psycopg.Connection[Any], name: str, what: Literal["type", "collation"]) -> str | None:
    """The schema of the type or collation of that verbatim name by the role's own search_path; None for none.

    what: `type` or `collation`.
    """
    catalog, column, visible = {
        "type": (verbatim("pg_type"), verbatim("typ"), verbatim("pg_catalog.pg_type_is_visible(c.oid)")),
        "collation": (
            verbatim("pg_collation"),
            verbatim("coll"),
            verbatim("pg_catalog.pg_collation_is_visible(c.oid)"),
        ),
    }[what]
    query = compose(
        "SELECT n.nspname::pg_catalog.text FROM pg_catalog.{catalog} AS c"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.{column}namespace"
        " WHERE c.{column}name OPERATOR(pg_catalog.=) $1 AND {visible}",
        catalog=catalog,
        column=column,
        visible=visible,
    )
    with own_path(conn), psycopg.RawCursor(conn) as cursor:
        row: Any = cursor.execute(encoded(query), [name]).fetchone()
    return str(row[0]) if row else None
