"""The one spelling of a mapping: canonical values, JSON and sha256, and the file that is written from it.

Two files that mean the same thing have the same canonical JSON. Defaults are left out, so a default that
is written and one that is not are the same mapping; columns are a list, because their order is kept.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from mappings.expressions.parser import ExpressionError, parse_relation
from mappings.language.checks import VERSION, spec_from_plain
from mappings.language.fields import Plain
from mappings.language.spec import Column, Constant, Join, Link, MappingSpec, Ref, Table
from mappings.language.written import written
from mappings.problems import Problem, Refused


def canonical(spec: MappingSpec) -> dict[str, Any]:
    """The spec as JSON-able values in the order of the file, without what is default."""
    default = MappingSpec(name="", tables=())
    return {
        "version": VERSION,
        "name": spec.name,
        **_changed(spec, default, ("description", "widen", "on_error", "max_quarantined")),
        **({"params": list(spec.params)} if spec.params else {}),
        "tables": [_table(table) for table in spec.tables],
    }


def canonical_json(spec: MappingSpec) -> str:
    """The canonical values as the text that the sha256 is taken of."""
    return json.dumps(
        canonical(spec), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def sha256(spec: MappingSpec) -> str:
    """What identifies a revision: the hex sha256 of the canonical JSON in UTF-8."""
    return hashlib.sha256(canonical_json(spec).encode()).hexdigest()


def from_canonical(values: dict[str, Any]) -> MappingSpec:
    """The spec of canonical values; Refused with all problems, under the same paths as in the file."""
    return spec_from_plain(file_form(values))


def dump(spec: MappingSpec) -> str:
    """The mapping file: parse(dump(spec)) == spec, and the same spec gives the same lines."""
    return dump_values(canonical(spec))


def dump_values(canonical_values: dict[str, Any]) -> str:
    """Canonical values, whole or not, as the text of a mapping file."""
    return written(file_form(canonical_values))


def file_form(values: dict[str, Any]) -> dict[str, Any]:
    """Canonical values in the shape of the file: columns by name, `{from: x}` as just `x`."""
    tables = values.get("tables")
    if not isinstance(tables, list):
        return values
    return {**values, "tables": [_table_form(number, table) for number, table in enumerate(tables)]}


def _table_form(number: int, table: Any) -> Any:
    if not isinstance(table, dict) or not isinstance(table.get("columns"), list):
        return table
    columns: dict[str, Plain] = {}
    for column in table["columns"]:
        rest = {key: value for key, value in column.items() if key != "name"}
        if column["name"] in columns:
            raise Refused([Problem(f"tables[{number}].columns.{column['name']}", "Is mapped twice.")])
        is_short = list(rest) == ["from"] and isinstance(rest["from"], str)
        columns[column["name"]] = rest["from"] if is_short else rest
    return {**table, "columns": columns}


def _changed(value: object, default: object, names: tuple[str, ...]) -> dict[str, Any]:
    """Those attributes that are not what they would be anyway."""
    result = {name: getattr(value, name) for name in names}
    return {name: item for name, item in result.items() if item != getattr(default, name)}


def _table(table: Table) -> dict[str, Any]:
    default = Table(name="", source="", target="", columns=())
    return {
        **({} if table.name == default_name(table.source) else {"name": table.name}),
        "source": table.source,
        **_changed(table, default, ("alias",)),
        **({"joins": [_join(join) for join in table.joins]} if table.joins else {}),
        **_changed(table, default, ("where",)),
        **_key(table),
        **_changed(table, default, ("distinct", "order_by", "walk")),
        "target": table.target,
        **_existing(table),
        **_link(table.link),
        **({} if table.is_migrated == "is_migrated" else {"is_migrated": table.is_migrated or False}),
        **({"triggers": list(table.triggers) or "off"} if table.triggers is not None else {}),
        "columns": [_column(column) for column in table.columns],
    }


def default_name(source: str) -> str | None:
    """The name that a table mapping has without saying so; None where the source is not a table name."""
    try:
        return parse_relation(source).name
    except ExpressionError:
        return None


def _join(join: Join) -> dict[str, Any]:
    if join.unnest is not None:
        return {"unnest": join.unnest, "alias": join.alias, "ordinality": join.ordinality}
    default = Join(table="", alias="", condition="")
    fixed = {"table": join.table, "alias": join.alias, "condition": join.condition}
    return {**fixed, **_changed(join, default, ("type",))}


def _key(table: Table) -> dict[str, Any]:
    if table.key_is_content:
        return {"key": "content"}
    return {"key": list(table.key)} if table.key is not None else {}


def _existing(table: Table) -> dict[str, Any]:
    if table.existing is None:
        return {}
    return {"existing": {"match": list(table.existing.match), "then": table.existing.then}}


def _link(link: Link) -> dict[str, Any]:
    values = _changed(link, Link(), ("map", "backref", "same_ids"))
    if link.foreign_key:
        values["backref"] = {"column": link.backref, "foreign_key": True}
    if link.source_id is not None:
        values = {"source_id": _one_or_list(link.source_id) if link.source_id else False, **values}
    return {"link": values} if values else {}


def _one_or_list(names: tuple[str, ...]) -> str | list[str]:
    return names[0] if len(names) == 1 else list(names)


UNSAID = Column("")
"""What a column says that says nothing; made once for the thousands that are held against it."""


def _column(column: Column) -> dict[str, Any]:
    values: dict[str, Any] = {"name": column.name}
    if column.from_:
        values["from"] = _one_or_list(column.from_)
    if column.expr is not None:
        values["expr"] = column.expr
    if column.has_value:
        values["value"] = _constant(column.value)
    if column.lookup is not None:
        values["lookup"] = {name: getattr(column.lookup, name) for name in ("table", "key", "value")}
    if column.ref is not None:
        values["ref"] = _ref(column.ref)
    if column.missing is not None:
        values["missing"] = column.missing
    values |= _changed(column, UNSAID, ("each", "split", "pattern"))
    if column.refs:
        values["refs"] = [
            {"path": one.path, "ref": _ref(one.ref), **({"missing": one.missing} if one.missing else {})}
            for one in column.refs
        ]
    return values | _taken(column)


def _taken(column: Column) -> dict[str, Any]:
    """What a column says of values that are taken."""
    if unique := column.unique:
        return {
            "unique": {"suffix": unique.suffix, **({"within": list(unique.within)} if unique.within else {})}
        }
    if number := column.number:
        order = {"order_by": number.order_by} if number.order_by else {}
        after = "existing" if number.after is None else number.after
        return {
            "number": {**({"within": list(number.within)} if number.within else {}), **order, "after": after}
        }
    return {}


def _ref(ref: Ref) -> Any:
    if ref.any_of:
        return [_ref(one) for one in ref.any_of]
    if ref.by is not None:
        policy = {"else": ref.otherwise} if ref.otherwise else {}
        return {"by": ref.by, "of": {text: _ref(one) for text, one in ref.of}, **policy}
    return ref.table if ref.column is None else {"table": ref.table, "column": ref.column}


def referred(column: dict[str, Any]) -> list[str]:
    """The names of the table mappings that a column's canonical values refer to."""
    ref = column.get("ref")
    if isinstance(inside := column.get("refs"), list):
        ref = [one.get("ref") for one in inside if isinstance(one, dict)]
    if isinstance(ref, dict) and isinstance(ref.get("of"), dict):
        ref = list(ref["of"].values())
    result = [
        one.get("table") if isinstance(one, dict) else one
        for one in (ref if isinstance(ref, list) else [ref])
    ]
    return [name for name in result if isinstance(name, str) and name]


def _constant(value: Constant) -> Any:
    if isinstance(value, tuple):
        return [_constant(item) for item in value]
    if isinstance(value, dict):
        return {key: _constant(item) for key, item in value.items()}
    return value
