"""Plain views over a column that changes its type: how they go and come again without loss, or why they cannot.

PostgreSQL changes no column that a view reads. A view holds no rows, so it may be dropped and made again in the
transaction that changes the column, with its options, owner, grants and comments. Whatever cannot be carried over
(triggers, rules, objects that hang on the view) stands in the way instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from mappings.sql import NOTHING, Sql, compose, encoded, ident, joined, literal, verbatim


class Grant(NamedTuple):
    """One right. grantee: '' for PUBLIC; by_owner: by whom it was granted; column: '' for the whole object."""

    grantee: str
    privilege: Sql
    grantable: bool
    by_owner: bool
    column: str


VIEWS = verbatim("""
WITH RECURSIVE tree(oid) AS (
  SELECT $1::regclass::oid UNION SELECT i.inhrelid FROM pg_inherits i JOIN tree ON tree.oid = i.inhparent),
above(oid, depth) AS (
  SELECT r.ev_class, 1 FROM tree
    JOIN pg_attribute a ON a.attrelid = tree.oid AND a.attname = $2
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = tree.oid AND d.refobjsubid = a.attnum
    JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    JOIN pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'
   UNION
  SELECT r.ev_class, above.depth + 1 FROM above
    JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = above.oid
    JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid AND r.ev_class <> above.oid
    JOIN pg_class c ON c.oid = r.ev_class AND c.relkind = 'v'),
ordered AS (SELECT oid, max(depth) AS depth FROM above GROUP BY oid)
SELECT n.nspname AS schema, c.relname AS name, pg_get_viewdef(c.oid) AS definition,
       coalesce(c.reloptions, '{}') AS options, o.rolname AS owner, c.relacl IS NOT NULL AS has_grants,
       obj_description(c.oid, 'pg_class') AS comment,
       c.relpersistence = 't' AS is_temporary,
       pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(c.relnamespace, 'CREATE')
         AND has_schema_privilege(c.relowner, c.relnamespace, 'CREATE') AS is_ours,
       (SELECT coalesce(json_agg(json_build_array(coalesce(g.rolname, ''), x.privilege_type, x.is_grantable,
                  x.grantor = c.relowner, '') ORDER BY x.place), '[]')
          FROM aclexplode(c.relacl) WITH ORDINALITY x(grantor, grantee, privilege_type, is_grantable, place)
          LEFT JOIN pg_roles g ON g.oid = x.grantee) AS grants,
       (SELECT coalesce(json_agg(json_build_array(coalesce(g.rolname, ''), x.privilege_type, x.is_grantable,
                  x.grantor = c.relowner, a.attname) ORDER BY a.attnum, x.place), '[]')
          FROM pg_attribute a, aclexplode(a.attacl) WITH ORDINALITY x(grantor, grantee, privilege_type, is_grantable,
               place) LEFT JOIN pg_roles g ON g.oid = x.grantee
         WHERE a.attrelid = c.oid AND a.attnum > 0) AS column_grants,
       (SELECT coalesce(json_agg(json_build_array(a.attname, col_description(c.oid, a.attnum)) ORDER BY a.attnum), '[]')
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
           AND col_description(c.oid, a.attnum) IS NOT NULL) AS column_comments,
       (SELECT coalesce(json_agg(json_build_array(a.attname, pg_get_expr(x.adbin, x.adrelid)) ORDER BY a.attnum), '[]')
          FROM pg_attrdef x JOIN pg_attribute a ON a.attrelid = x.adrelid AND a.attnum = x.adnum
         WHERE x.adrelid = c.oid) AS defaults,
       ARRAY(SELECT 'its trigger ' || t.tgname FROM pg_trigger t WHERE t.tgrelid = c.oid
              UNION ALL SELECT 'its rule ' || r.rulename FROM pg_rewrite r
                         WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'
              UNION ALL SELECT 'its security label' FROM pg_seclabel l WHERE l.objoid = c.oid
                           AND l.classoid = 'pg_class'::regclass
              UNION ALL SELECT 'default privileges of its schema or owner' FROM pg_default_acl p
                         WHERE p.defaclobjtype = 'r' AND p.defaclnamespace IN (0, c.relnamespace)
              UNION ALL SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
                         WHERE d.deptype <> 'i'
                           AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
                             OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (c.reltype,
                                  (SELECT t.typarray FROM pg_type t WHERE t.oid = c.reltype))))
                           AND NOT (d.classid = 'pg_rewrite'::regclass AND EXISTS (
                                 SELECT FROM pg_rewrite r JOIN ordered o ON o.oid = r.ev_class
                                  WHERE r.oid = d.objid AND (r.rulename = '_RETURN' OR r.ev_class = c.oid)))
                           AND d.classid <> 'pg_attrdef'::regclass
                           AND NOT (d.classid = 'pg_trigger'::regclass)
              UNION ALL SELECT 'extension ' || e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                         WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') AS held_by
  FROM ordered JOIN pg_class c ON c.oid = ordered.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_roles o ON o.oid = c.relowner
 ORDER BY ordered.depth, c.oid
""")


@dataclass(frozen=True, slots=True)
class Views:
    """Every plain view over a column. drop and make: statements in order; problems: why that is not possible."""

    names: tuple[str, ...] = ()
    drop: tuple[Sql, ...] = ()
    make: tuple[Sql, ...] = ()
    problems: tuple[str, ...] = ()

    def without_views(self, change: tuple[Sql, ...]) -> tuple[Sql, ...]:
        """A change of the column with the views out of its way."""
        return (*self.drop, *change, *self.make)


def over(conn: psycopg.Connection, relation: str, column: str) -> Views:
    """The views that read a column, and those that read these. relation: quoted, with its schema."""
    with conn.transaction(), psycopg.RawCursor(conn, row_factory=dict_row) as cursor:
        path: Any = cursor.execute("SELECT current_setting('search_path') AS value").fetchone()
        # Without a path every name in a definition is printed with its schema, wherever it is executed later.
        cursor.execute("SELECT set_config('search_path', '', true)")
        rows = cursor.execute(encoded(VIEWS), [relation, column]).fetchall()
        cursor.execute("SELECT set_config('search_path', $1, true)", [path["value"]])
    return Views(
        names=tuple(f"{view['schema']}.{view['name']}" for view in rows),
        drop=tuple(compose("DROP VIEW {}", _name(view)) for view in reversed(rows)),
        make=tuple(statement for view in rows for statement in _make(view)),
        problems=tuple(problem for view in rows for problem in _problems(view)),
    )


def _name(view: dict[str, Any]) -> Sql:
    return ident(view["schema"], view["name"])


def _problems(view: dict[str, Any]) -> Iterator[str]:
    name = f"view {view['schema']}.{view['name']}"
    if view["is_temporary"]:
        yield f"{name} is a session's temporary view"
    elif not view["is_ours"]:
        yield f"{name} belongs to {view['owner']}, so it cannot be made again by this role"
    for item in view["held_by"]:
        yield f"{name} cannot be made again without loss, because of {item}"
    if not all(by_owner for *_, by_owner, _ in [*view["grants"], *view["column_grants"]]):
        yield f"{name} has rights that someone else than its owner granted"


def _make(view: dict[str, Any]) -> Iterator[Sql]:
    name, options = _name(view), joined(", ", view["options"])
    with_options = compose(" WITH ({})", options) if options else NOTHING
    yield compose(
        "CREATE VIEW {}{} AS\n{}",
        name,
        with_options,
        view["definition"].strip().rstrip(";"),
    )
    yield compose("ALTER VIEW {} OWNER TO {}", name, ident(view["owner"]))
    for column, default in view["defaults"]:
        yield compose(
            "ALTER VIEW {} ALTER COLUMN {} SET DEFAULT {}",
            name,
            ident(column),
            default,
        )
    if view["has_grants"]:
        yield compose("REVOKE ALL ON {} FROM {}", name, ident(view["owner"]))
    yield from granted(name, (Grant(*one) for one in (*view["grants"], *view["column_grants"])))
    if view["comment"] is not None:
        yield compose("COMMENT ON VIEW {} IS {}", name, literal(view["comment"]))
    for column, comment in view["column_comments"]:
        yield compose(
            "COMMENT ON COLUMN {}.{} IS {}",
            name,
            ident(column),
            literal(comment),
        )


def granted(name: Sql, grants: Iterable[Grant]) -> Iterator[Sql]:
    """GRANT statements in the order in which the rights were given: the list then reads the same as before."""
    for (grantee, grantable, column), same in groupby(grants, lambda grant: (grant[0], grant[2], grant[4])):
        suffix = compose(" ({})", ident(column)) if column else NOTHING
        what = joined(", ", (compose("{}{}", grant.privilege, suffix) for grant in same))
        option = verbatim(" WITH GRANT OPTION") if grantable else NOTHING
        yield compose(
            "GRANT {what} ON {name} TO {grantee}{option}",
            what=what,
            name=name,
            grantee=ident(grantee) if grantee else verbatim("PUBLIC"),
            option=option,
        )
