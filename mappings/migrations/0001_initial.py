import re

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Mapping",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="A slug; unique.",
                        max_length=63,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                re.compile("^[-a-zA-Z0-9_]+\\Z"),
                                "Enter a valid “slug” consisting of letters, numbers, underscores or hyphens.",
                                "invalid",
                            )
                        ],
                    ),
                ),
                ("description", models.TextField(blank=True)),
                (
                    "widen",
                    models.BooleanField(
                        default=True,
                        help_text="Widen target columns that are too small for the data. Off: such a value is a row error.",
                    ),
                ),
                (
                    "on_error",
                    models.CharField(
                        choices=[("stop", "stop the run"), ("quarantine", "set the row aside and go on")],
                        default="stop",
                        help_text="What happens to a row that cannot be converted or violates a constraint.",
                        max_length=10,
                    ),
                ),
                (
                    "max_quarantined",
                    models.PositiveIntegerField(
                        default=1000, help_text="Stop the run once more rows than this were set aside."
                    ),
                ),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("updated", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("on_error__in", ["stop", "quarantine"])),
                        name="mapping_on_error_is_known",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TableMapping",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "position",
                    models.PositiveIntegerField(default=0, help_text="The order in the mapping file."),
                ),
                (
                    "name",
                    models.CharField(
                        blank=True,
                        help_text="What references point to. Empty: the source table's bare name.",
                        max_length=63,
                    ),
                ),
                (
                    "source",
                    models.TextField(
                        help_text='The source table as in SQL: customer, legacy.customer, cd."Weird Name".'
                    ),
                ),
                ("alias", models.CharField(blank=True, help_text="Needed with joins.", max_length=63)),
                (
                    "joins",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Other source tables that feed the same target row, with alias and condition.",
                    ),
                ),
                (
                    "where",
                    models.TextField(
                        blank=True, help_text="Which source rows are meant, as an SQL condition. Empty: all."
                    ),
                ),
                (
                    "key",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="The source key. Empty: the primary key. Any unique NOT NULL combination will do.",
                    ),
                ),
                (
                    "key_is_content",
                    models.BooleanField(
                        default=False,
                        help_text="For tables without a key: identity is the row's content and its occurrence number.",
                        verbose_name="key is content",
                    ),
                ),
                (
                    "distinct",
                    models.BooleanField(
                        default=False,
                        help_text="Many source rows with an equal key make one target row: the first by the order.",
                    ),
                ),
                (
                    "order_by",
                    models.TextField(
                        blank=True,
                        help_text="Which of several rows is the first, as in SQL.",
                        verbose_name="order by",
                    ),
                ),
                ("target", models.TextField(help_text="The target table as in SQL.")),
                (
                    "existing_match",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="Target columns, or expressions over them, that tell that a row is already there.",
                        verbose_name="existing rows match on",
                    ),
                ),
                (
                    "existing_then",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("keep", "keep the target row and map the source row to it"),
                            ("update", "overwrite the mapped columns"),
                        ],
                        max_length=6,
                        verbose_name="existing rows",
                    ),
                ),
                (
                    "source_id",
                    models.JSONField(
                        blank=True,
                        help_text="Columns added to the target for the source's key. Not set: default names; []: none.",
                        null=True,
                        verbose_name="source id columns",
                    ),
                ),
                ("map_rows", models.BooleanField(default=True, verbose_name="rows in the migration map")),
                (
                    "backref",
                    models.CharField(
                        blank=True,
                        help_text="A column added to the source table that receives the target's id.",
                        max_length=63,
                    ),
                ),
                (
                    "is_migrated",
                    models.CharField(
                        blank=True,
                        default="is_migrated",
                        help_text="A boolean column added to the target. Empty: none.",
                        max_length=63,
                        verbose_name="flag column",
                    ),
                ),
                (
                    "mapping",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tables",
                        to="mappings.mapping",
                    ),
                ),
            ],
            options={
                "ordering": ["mapping", "position", "pk"],
            },
        ),
        migrations.CreateModel(
            name="ColumnMapping",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "position",
                    models.PositiveIntegerField(default=0, help_text="The order in the mapping file."),
                ),
                ("name", models.CharField(max_length=63, verbose_name="target column")),
                ("source_columns", models.JSONField(blank=True, default=list, verbose_name="source column")),
                ("expr", models.TextField(blank=True, verbose_name="expression")),
                ("has_value", models.BooleanField(default=False, verbose_name="is a constant")),
                ("value", models.JSONField(blank=True, null=True, verbose_name="constant")),
                ("lookup_table", models.TextField(blank=True)),
                ("lookup_key", models.TextField(blank=True)),
                ("lookup_value", models.TextField(blank=True)),
                ("ref_table", models.CharField(blank=True, max_length=63, verbose_name="reference to")),
                ("ref_column", models.CharField(blank=True, max_length=63, verbose_name="referenced column")),
                (
                    "missing",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("stop", "stop the run"),
                            ("quarantine", "set the row aside and go on"),
                            ("null", "leave the reference NULL"),
                        ],
                        max_length=10,
                        verbose_name="if the parent is missing",
                    ),
                ),
                (
                    "table",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="columns",
                        to="mappings.tablemapping",
                    ),
                ),
            ],
            options={
                "ordering": ["table", "position", "pk"],
            },
        ),
        migrations.CreateModel(
            name="Environment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.SlugField(
                        help_text="Such as local, staging or production.",
                        max_length=63,
                        unique=True,
                        verbose_name="name",
                    ),
                ),
                ("source_url_encrypted", models.TextField(editable=False)),
                ("target_url_encrypted", models.TextField(editable=False)),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("updated", models.DateTimeField(auto_now=True)),
                (
                    "after",
                    models.ForeignKey(
                        blank=True,
                        help_text="A mapping runs here only after it was verified in that environment.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="followers",
                        to="mappings.environment",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("after", models.F("id")), _negated=True),
                            ("after", None),
                            _connector="OR",
                        ),
                        name="environment_is_not_after_itself",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Revision",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("canonical", models.TextField(verbose_name="canonical JSON")),
                ("sha256", models.CharField(max_length=64, verbose_name="SHA-256")),
                (
                    "parent_sha256",
                    models.CharField(blank=True, default="", max_length=64, verbose_name="parent's SHA-256"),
                ),
                ("note", models.TextField(blank=True, default="")),
                ("created", models.DateTimeField(auto_now_add=True)),
                (
                    "author",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "mapping",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="revisions",
                        to="mappings.mapping",
                    ),
                ),
            ],
            options={
                "ordering": ["mapping", "number"],
                "constraints": [
                    models.UniqueConstraint(fields=("mapping", "number"), name="revision_numbers_are_unique")
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="tablemapping",
            constraint=models.CheckConstraint(
                condition=models.Q(("existing_then__in", ["", "keep", "update"])),
                name="existing_then_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="tablemapping",
            constraint=models.CheckConstraint(
                condition=models.Q(("key_is_content", False), ("key", []), _connector="OR"),
                name="key_is_content_or_columns",
            ),
        ),
        migrations.AddConstraint(
            model_name="columnmapping",
            constraint=models.UniqueConstraint(
                fields=("table", "name"), name="a_target_column_is_mapped_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="columnmapping",
            constraint=models.CheckConstraint(
                condition=models.Q(("missing__in", ["", "stop", "quarantine", "null"])),
                name="missing_is_known",
            ),
        ),
    ]
