"""Checks a mapping file's plain values and makes a MappingSpec of them, or lists every problem.

Plain values are what YAML or JSON hold: dict, list, str, int, bool, None, and WrittenNumber. The same checks
serve the file, the forms and a frozen revision, so the three cannot drift apart.
"""

from __future__ import annotations

import re
from collections import Counter

from mappings.expressions.parser import ExpressionError, parse_expression, parse_ordering, parse_relation
from mappings.language.column_checks import check_columns
from mappings.language.fields import (
    Fields,
    Notes,
    Plain,
    inside,
    label_problem,
    name_problem,
    names_in,
    quoted,
)
from mappings.language.join_checks import check_aliases, join_of
from mappings.language.spec import Existing, Link, MappingSpec, Table
from mappings.problems import Problem, Refused

VERSION = 1
MOST_QUARANTINED = 2**31 - 1
PARAMETER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
SLUG = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}")

FILE_KEYS = ("version", "name", "description", "widen", "on_error", "max_quarantined", "params", "tables")
TABLE_KEYS = (
    "name", "source", "alias", "joins", "where", "key", "distinct", "order_by", "walk",
    "target", "existing", "link", "is_migrated", "triggers", "columns",
)  # fmt: skip


def spec_from_plain(plain: Plain) -> MappingSpec:
    """The spec that the plain values of a mapping file describe; Refused with all problems."""
    spec, problems = check_plain(plain)
    if problems:
        raise Refused(problems)
    return spec


def check_plain(plain: Plain) -> tuple[MappingSpec, list[Problem]]:
    """A spec and the problems found; the spec is only good where there are none."""
    notes = Notes()
    fields = Fields(notes, "", plain, FILE_KEYS)
    _check_version(fields)
    name = fields.text("name", required=True)
    if name and not SLUG.fullmatch(name):
        fields.refuse(
            "name", "Must be a slug: up to 63 letters, digits, hyphens and underscores, no hyphen first."
        )
    spec = MappingSpec(
        name=name or "",
        description=fields.text("description", empty=True) or "",
        widen=fields.flag("widen", True),
        on_error=fields.choice("on_error", ("stop", "quarantine")) or "stop",
        max_quarantined=_limit(fields),
        params=_params(fields),
        tables=_tables(fields),
    )
    _check_params(notes, spec.params)
    _check_names(notes, spec.tables)
    _check_refs(notes, spec.tables)
    _check_added_columns(notes, spec.tables)
    return spec, notes.problems


def _check_version(fields: Fields) -> None:
    version = fields.required("version")
    if version is not None and (type(version) is not int or version != VERSION):
        fields.refuse("version", f"Only version {VERSION} of the mapping file is known.")


def _limit(fields: Fields) -> int:
    limit = fields.count("max_quarantined", 1000)
    if limit > MOST_QUARANTINED:
        fields.refuse("max_quarantined", f"Must be at most {MOST_QUARANTINED}.")
    return limit


def _params(fields: Fields) -> tuple[str, ...]:
    names: list[str] = []
    for path, item in fields.items("params"):
        if type(item) is not str or not PARAMETER.fullmatch(item):
            text = "Must be a name of small letters, digits and underscores, no digit first; expressions say :name."
            fields.notes.refuse(path, text)
        elif item in names:
            fields.notes.refuse(path, f"{quoted(item)} is listed twice.")
        else:
            names.append(item)
    return tuple(names)


def _check_params(notes: Notes, names: tuple[str, ...]) -> None:
    """Each :name of an expression is one of the file's params."""
    for path, name in notes.parameters:
        if name not in names:
            notes.refuse(path, f":{name} is no parameter of this mapping; list {name} under params.")


def _tables(fields: Fields) -> tuple[Table, ...]:
    items = fields.items("tables", required=True)
    return tuple(_table(Fields(fields.notes, path, item, TABLE_KEYS)) for path, item in items)


def _table(fields: Fields) -> Table:
    source = fields.sql("source", parse_relation, required=True)
    joins = tuple(join_of(fields.notes, path, item) for path, item in fields.items("joins"))
    alias = fields.name("alias")
    check_aliases(fields, alias, joins)
    aliases = frozenset({alias or "", *(join.alias for join in joins)} if joins else ())
    key, key_is_content = _key(fields, aliases)
    return Table(
        name=fields.name("name") or _bare_name(source),
        source=source,
        alias=alias,
        joins=joins,
        where=fields.sql("where", parse_expression) or None,
        key=key,
        key_is_content=key_is_content,
        distinct=fields.flag("distinct", False),
        order_by=fields.sql("order_by", parse_ordering) or None,
        target=fields.sql("target", parse_relation, required=True),
        existing=_existing(fields),
        link=_link(fields, key),
        is_migrated=_is_migrated(fields),
        triggers=_triggers(fields),
        walk=fields.choice("walk", ("keys", "pages")),
        columns=check_columns(fields, aliases),
    )


def _bare_name(source: str) -> str:
    """The source's name without its schema; '' where the source itself is wrong (and was noted)."""
    try:
        return parse_relation(source).name if source else ""
    except ExpressionError:
        return ""


def _key(fields: Fields, aliases: frozenset[str]) -> tuple[tuple[str, ...] | None, bool]:
    value = fields.get("key")
    if value is None or value == "content":
        return None, value == "content"
    if not isinstance(value, list) or not value:
        fields.refuse("key", "Must be a list of source columns such as [id], or the word content.")
        return None, False
    return names_in(fields.notes, fields.at("key"), value, aliases), False


def _existing(fields: Fields) -> Existing | None:
    value = fields.get("existing")
    if value is None:
        return None
    inner = Fields(fields.notes, fields.at("existing"), value, ("match", "then"))
    match = [
        inner.notes.sql(path, item, parse_expression) for path, item in inner.items("match", required=True)
    ]
    then = inner.choice("then", ("keep", "update"), required=True)
    return Existing(match=tuple(match), then=then or "keep")


def _link(fields: Fields, key: tuple[str, ...] | None) -> Link:
    value = fields.get("link")
    if value is None:
        return Link()
    inner = Fields(fields.notes, fields.at("link"), value, ("source_id", "map", "backref", "same_ids"))
    backref, foreign_key = inner.get("backref"), False
    if isinstance(backref, dict):
        column = Fields(inner.notes, inner.at("backref"), backref, ("column", "foreign_key"))
        name, foreign_key = column.name("column", required=True), column.flag("foreign_key", False)
    else:
        name = inner.name("backref")
    same_ids = inner.flag("same_ids", True)
    return Link(_source_id(inner, key), inner.flag("map", True), name, foreign_key, same_ids)


def _source_id(fields: Fields, key: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The columns that hold the source's key: None where the file does not say, () for none."""
    if "source_id" not in fields:
        return None
    value = fields.get("source_id")
    if value is False:
        return ()
    if not isinstance(value, (str, list)) or value == []:
        fields.refuse(
            "source_id", "Must be a column name, a list of names for a composite key, or false for none."
        )
        return None
    parts = value if isinstance(value, list) else [value]
    names = names_in(fields.notes, fields.at("source_id"), parts, problem_of=label_problem)
    if key is not None and len(names) != len(key):
        fields.refuse("source_id", f"Needs one name for each part of the key: {len(key)}, not {len(names)}.")
    return names


def _is_migrated(fields: Fields) -> str | None:
    if "is_migrated" not in fields:
        return "is_migrated"
    value = fields.get("is_migrated")
    if value is False:
        return None
    if value is None or value is True:
        fields.refuse("is_migrated", "Must be the name of the flag column, or false for none.")
        return None
    return fields.name("is_migrated")


def _triggers(fields: Fields) -> tuple[str, ...] | None:
    """The triggers that are left off: () for all of them, None where the file says nothing, or on."""
    value = fields.get("triggers")
    if isinstance(value, list) and value:
        return names_in(fields.notes, fields.at("triggers"), value)
    if value not in (None, "on", "off") or ("triggers" in fields and value is None):
        fields.refuse("triggers", "Must be on, off, or a list of the triggers that are left off.")
    return () if value == "off" else None


def _check_names(notes: Notes, tables: tuple[Table, ...]) -> None:
    seen: set[str] = set()
    for number, table in enumerate(tables):
        if table.name in seen:
            text = f"Two table mappings are called {quoted(table.name)}; give one of them another name."
            notes.refuse(f"tables[{number}].name", text)
        elif table.name:
            seen.add(table.name)
            if label_problem(table.name) and name_problem(table.name) is None:
                text = "Is missing: the source's own name has a control character in it, which this name may not."
                notes.refuse(f"tables[{number}].name", text)


def _check_refs(notes: Notes, tables: tuple[Table, ...]) -> None:
    names = [table.name for table in tables]
    if "" in names:  # a table whose name is not known yet may be the one that is meant
        return
    known_names = {"", *names}
    for number, table in enumerate(tables):
        for column in table.columns:
            for name in sorted(column.points_to - known_names):
                path = inside(f"tables[{number}].columns", column.name) + (".refs" if column.refs else ".ref")
                known = ", ".join(quoted(name) for name in names[:20])
                notes.refuse(path, f"No table mapping is called {quoted(name)}; there are {known}.")


def source_id_columns(table: Table, shares_target: bool) -> tuple[str, ...]:
    """The names of the columns that hold the source's key, as far as the file alone tells them."""
    if table.link.source_id is not None:
        return table.link.source_id
    owner = table.name if shares_target else "table"
    if table.key is None:
        return () if not table.key_is_content else (f"source_{owner}_id",)
    if len(table.key) == 1:
        return (f"source_{owner}_id",)
    return tuple(f"source_{owner}_{part.rpartition('.')[2]}" for part in table.key)


def _check_added_columns(notes: Notes, tables: tuple[Table, ...]) -> None:
    """A column that the migration adds cannot be mapped as well, nor added twice."""
    targets = Counter(table.target for table in tables)
    for number, table in enumerate(tables):
        path = f"tables[{number}]"
        source_id = source_id_columns(table, targets[table.target] > 1)
        if table.is_migrated in source_id:
            notes.refuse(f"{path}.is_migrated", "Has the same name as a source_id column.")
        for column in table.columns:
            if column.name in (*source_id, table.is_migrated):
                text = "Is a column that the migration fills itself (link.source_id or is_migrated)."
                notes.refuse(inside(f"{path}.columns", column.name), text)
