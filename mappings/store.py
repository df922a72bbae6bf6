"""Keeps mappings: a spec becomes rows and a revision, rows and revisions become a spec again."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from django.db import transaction

from mappings.language.canonical import canonical, canonical_json, default_name, dump, from_canonical, sha256
from mappings.language.spec import MappingSpec
from mappings.models import ColumnMapping, Mapping, Revision, TableMapping
from mappings.problems import Problem, Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# The columns of the models that stand in the canonical values under the same name.
SAME_IN_MAPPING = ("description", "widen", "on_error", "max_quarantined")
SAME_IN_TABLE = ("alias", "where", "order_by")


@transaction.atomic
def save_spec(spec: MappingSpec, author: User | None = None, note: str = "") -> Revision:
    """Makes the stored mapping say what `spec` says; a new revision only if it differs from the latest."""
    mapping, _ = Mapping.objects.select_for_update().get_or_create(name=spec.name)
    if not _says(mapping, spec):
        for name in SAME_IN_MAPPING:
            setattr(mapping, name, getattr(spec, name))
        mapping.save()
        _save_tables(mapping, canonical(spec)["tables"])
    return _add_revision(mapping, spec, author, note)


@transaction.atomic
def freeze(mapping: Mapping, author: User | None = None, note: str = "") -> Revision:
    """The revision of the mapping's rows as they are now; Refused where they are not a whole mapping yet."""
    locked = Mapping.objects.select_for_update().get(pk=mapping.pk)
    return _add_revision(locked, spec_of(locked), author, note)


def spec_of(mapping: Mapping) -> MappingSpec:
    """The spec that the mapping's rows describe; Refused with every problem of a draft."""
    return from_canonical(values_of(mapping))


def revision_spec(revision: Revision) -> MappingSpec:
    """The spec that was frozen; Refused where it is not what was hashed, or not what follows its parent."""
    if hashlib.sha256(revision.canonical.encode()).hexdigest() != revision.sha256:
        raise Refused(
            [Problem("", f"{revision} was altered after it was frozen: its SHA-256 does not match.")]
        )
    before = revision.mapping.revisions.filter(number=revision.number - 1)
    parent = before.values_list("sha256", flat=True).first()
    if (parent or "") != revision.parent_sha256:
        text = f"{revision} does not follow the one before it, which was altered or taken away."
        raise Refused([Problem("", text)])
    return from_canonical(json.loads(revision.canonical))


def revision_text(revision: Revision) -> str:
    """A revision as a mapping file; as indented JSON where today's rules would no longer accept it."""
    try:
        return dump(from_canonical(json.loads(revision.canonical)))
    except Refused:
        return json.dumps(json.loads(revision.canonical), indent=2, ensure_ascii=False)


def _says(mapping: Mapping, spec: MappingSpec) -> bool:
    """Whether the rows already describe `spec`, so that they (and their addresses in the admin) can stay."""
    try:
        return spec_of(mapping) == spec
    except Refused:
        return False


def _add_revision(mapping: Mapping, spec: MappingSpec, author: User | None, note: str) -> Revision:
    latest = mapping.latest_revision
    digest = sha256(spec)
    if latest is not None and latest.sha256 == digest:
        return latest
    return Revision.objects.create(
        mapping=mapping,
        number=latest.number + 1 if latest else 1,
        canonical=canonical_json(spec),
        sha256=digest,
        parent_sha256=latest.sha256 if latest else "",
        author=author,
        note=note,
    )


def values_of(mapping: Mapping) -> dict[str, Any]:
    """The rows as the plain values of a mapping file, complete or not."""
    tables = mapping.tables.prefetch_related("columns").order_by("position", "pk")
    return {
        "version": 1,
        "name": mapping.name,
        **{name: getattr(mapping, name) for name in SAME_IN_MAPPING},
        "tables": [_table_values(table) for table in tables],
    }


def _table_values(table: TableMapping) -> dict[str, Any]:
    columns = sorted(table.columns.all(), key=lambda column: (column.position, column.pk))
    values: dict[str, Any] = {
        "name": table.name,
        "source": table.source,
        **{name: getattr(table, name) for name in SAME_IN_TABLE},
        "joins": table.joins,
        "key": "content" if table.key_is_content else table.key,
        "existing": _existing_values(table),
        "target": table.target,
    }
    values = {key: value for key, value in values.items() if value not in ("", [], None)}
    return {
        **values,
        "distinct": table.distinct,
        "link": _link_values(table),
        "is_migrated": table.is_migrated or False,
        "columns": [_column_values(column) for column in columns],
    }


def _existing_values(table: TableMapping) -> dict[str, Any] | None:
    if not table.existing_match and not table.existing_then:
        return None
    return {"match": table.existing_match, **({"then": table.existing_then} if table.existing_then else {})}


def _link_values(table: TableMapping) -> dict[str, Any]:
    values: dict[str, Any] = {"map": table.map_rows}
    if table.backref:
        values["backref"] = table.backref
    if table.source_id is not None:
        values["source_id"] = table.source_id or False
    return values


def _column_values(column: ColumnMapping) -> dict[str, Any]:
    values: dict[str, Any] = {"name": column.name}
    if column.source_columns:
        names = column.source_columns
        values["from"] = names[0] if isinstance(names, list) and len(names) == 1 else names
    lookup = {"table": column.lookup_table, "key": column.lookup_key, "value": column.lookup_value}
    lookup = {key: value for key, value in lookup.items() if value}
    ref = {"table": column.ref_table, "column": column.ref_column}
    ref = {key: value for key, value in ref.items() if value}
    given = {"expr": column.expr, "lookup": lookup, "ref": ref, "missing": column.missing}
    values.update({key: value for key, value in given.items() if value})
    if column.has_value:
        values["value"] = column.value
    return values


def _save_tables(mapping: Mapping, tables: list[dict[str, Any]]) -> None:
    """The rows of all table mappings. One that keeps its name keeps its row, and with it the address of its page."""
    before = {table.name or default_name(table.source): table for table in mapping.tables.all()}
    kept = []
    for position, values in enumerate(tables):
        name = values.get("name") or default_name(values["source"])
        table = before.pop(name, None) or TableMapping(mapping=mapping)
        _save_table(table, position, values)
        kept.append(table.pk)
    mapping.tables.exclude(pk__in=kept).delete()


def _save_table(table: TableMapping, position: int, values: dict[str, Any]) -> None:
    """One table mapping and its columns, from their canonical values."""
    link, existing, key = values.get("link", {}), values.get("existing", {}), values.get("key", [])
    source_id = link.get("source_id")
    if isinstance(source_id, str) or source_id is False:
        source_id = [source_id] if source_id else []
    says = {
        "position": position,
        "name": values.get("name", ""),
        "source": values["source"],
        "target": values["target"],
        "joins": values.get("joins", []),
        "key": [] if key == "content" else key,
        "key_is_content": key == "content",
        "distinct": values.get("distinct", False),
        "existing_match": existing.get("match", []),
        "existing_then": existing.get("then", ""),
        "source_id": source_id,
        "map_rows": link.get("map", True),
        "backref": link.get("backref", ""),
        "is_migrated": values.get("is_migrated", "is_migrated") or "",
        **{name: values.get(name, "") for name in SAME_IN_TABLE},
    }
    for name, value in says.items():
        setattr(table, name, value)
    table.save()
    _save_columns(table, [_column_row(table, number, one) for number, one in enumerate(values["columns"])])


def _save_columns(table: TableMapping, columns: list[ColumnMapping]) -> None:
    """The rows of a table's columns; those that keep their target column keep their row."""
    before = dict(table.columns.values_list("name", "pk"))
    for column in columns:
        column.pk = before.get(column.name)
    table.columns.exclude(name__in=[column.name for column in columns]).delete()
    fields = [field.name for field in ColumnMapping._meta.concrete_fields if not field.primary_key]
    ColumnMapping.objects.bulk_update([column for column in columns if column.pk], fields, batch_size=100)
    ColumnMapping.objects.bulk_create(column for column in columns if not column.pk)


def _column_row(table: TableMapping, position: int, values: dict[str, Any]) -> ColumnMapping:
    names, ref, lookup = values.get("from", []), values.get("ref", {}), values.get("lookup", {})
    if isinstance(ref, str):
        ref = {"table": ref}
    return ColumnMapping(
        table=table,
        position=position,
        name=values["name"],
        source_columns=[names] if isinstance(names, str) else names,
        expr=values.get("expr", ""),
        has_value="value" in values,
        value=values.get("value"),
        lookup_table=lookup.get("table", ""),
        lookup_key=lookup.get("key", ""),
        lookup_value=lookup.get("value", ""),
        ref_table=ref.get("table", ""),
        ref_column=ref.get("column", ""),
        missing=values.get("missing", ""),
    )
