"""A draft's tables are kept as the values of the mapping file; each edit of them is remembered and can be undone."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def to_values(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Each table mapping and its columns, as the canonical values that `mapping dump` made of them."""
    for table in apps.get_model("mappings", "TableMapping").objects.prefetch_related("columns").iterator(200):
        table.values = table_values(table)
        table.save(update_fields=["values"])


def table_values(table: Any) -> dict[str, Any]:
    columns = sorted(table.columns.all(), key=lambda column: (column.position, column.pk))
    existing = {"match": table.existing_match, "then": table.existing_then}
    values: dict[str, Any] = {
        "name": table.name, "source": table.source, "alias": table.alias, "joins": table.joins,
        "where": table.where, "key": "content" if table.key_is_content else table.key,
        "order_by": table.order_by, "target": table.target,
        "existing": {key: value for key, value in existing.items() if value},
        "link": link_values(table),
    }  # fmt: skip
    values = {key: value for key, value in values.items() if value not in ("", [], {}, None)}
    if table.distinct:
        values["distinct"] = True
    if table.is_migrated != "is_migrated":
        values["is_migrated"] = table.is_migrated or False
    return {**values, "columns": [column_values(column) for column in columns]}


def link_values(table: Any) -> dict[str, Any]:
    values: dict[str, Any] = {} if table.map_rows else {"map": False}
    if table.backref:
        values["backref"] = table.backref
    if table.source_id is not None:
        names = table.source_id
        values["source_id"] = (names[0] if len(names) == 1 else names) if names else False
    return values


def column_values(column: Any) -> dict[str, Any]:
    values: dict[str, Any] = {"name": column.name}
    if column.source_columns:
        names = column.source_columns
        values["from"] = names[0] if isinstance(names, list) and len(names) == 1 else names
    lookup = {"table": column.lookup_table, "key": column.lookup_key, "value": column.lookup_value}
    ref: Any = {"table": column.ref_table, "column": column.ref_column}
    ref = {key: value for key, value in ref.items() if value}
    given = {
        "expr": column.expr,
        "lookup": {key: value for key, value in lookup.items() if value},
        "ref": ref["table"] if list(ref) == ["table"] else ref,
        "missing": column.missing,
    }
    values.update({key: value for key, value in given.items() if value})
    if column.has_value:
        values["value"] = column.value
    return values


REMOVED = (
    "name", "source", "alias", "joins", "where", "key", "key_is_content", "distinct", "order_by", "target",
    "existing_match", "existing_then", "source_id", "map_rows", "backref", "is_migrated",
)  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [
        ("mappings", "0005_names_are_no_options"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AddField("mapping", "version", models.PositiveIntegerField(default=0, editable=False)),
        migrations.AddField("tablemapping", "values", models.JSONField(default=dict)),
        migrations.AddField("tablemapping", "version", models.PositiveIntegerField(default=0)),
        migrations.RunPython(to_values, elidable=False),
        migrations.RemoveConstraint("tablemapping", "existing_then_is_known"),
        migrations.RemoveConstraint("tablemapping", "key_is_content_or_columns"),
        *[migrations.RemoveField("tablemapping", name) for name in REMOVED],
        migrations.DeleteModel("ColumnMapping"),
        migrations.CreateModel(
            name="Edit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.PositiveIntegerField()),
                ("made", models.DateTimeField(auto_now_add=True)),
                ("text", models.CharField(max_length=200)),
                ("changes", models.JSONField()),
                ("undone", models.BooleanField(default=False)),
                ("author", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("mapping", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="edits", to="mappings.mapping")),
            ],
            options={"ordering": ["mapping", "version"]},
        ),
        migrations.AddConstraint(
            "edit",
            models.UniqueConstraint(fields=["mapping", "version"], name="edits_are_one_after_another"),
        ),
        migrations.CreateModel(
            name="Visit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("seen", models.DateTimeField()),
                ("mapping", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="visits", to="mappings.mapping")),
                ("user", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddConstraint(
            "visit", models.UniqueConstraint(fields=["mapping", "user"], name="one_visit_each")
        ),
    ]  # fmt: skip
