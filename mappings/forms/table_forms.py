"""The forms of one table mapping: its parts, and a row for each of its columns."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet

from mappings.expressions.parser import parse_expression, parse_ordering, parse_relation
from mappings.forms.fields import ConstantField, NamesField, OfferingInput, SourceIdField
from mappings.forms.join_rows import JoinsField
from mappings.forms.mapping_forms import (
    MORE_LINES,
    LabelledFormSet,
    OfferingForm,
    PositionedForm,
    note_field,
    sql_problems,
)
from mappings.forms.saving import GuardedForm
from mappings.language.canonical import default_name
from mappings.language.checks import check_joins
from mappings.models import ColumnMapping, TableMapping


class TableMappingForm(OfferingForm[TableMapping], GuardedForm[TableMapping]):
    """One table mapping with all its parts; its column mappings are the rows below it."""

    joins = JoinsField(
        required=False,
        help_text="Other source tables for the same target row, such as legacy.address as a on"
        " a.id = c.address_id. To remove one, empty its row; for more than two, save and go on.",
    )
    key = NamesField(required=False, widget=forms.Textarea(attrs=MORE_LINES))
    existing_match = NamesField(
        label="Existing rows match on", required=False, widget=forms.Textarea(attrs=MORE_LINES)
    )
    source_id = SourceIdField(
        label="Source id columns", required=False, widget=forms.Textarea(attrs=MORE_LINES)
    )
    note = note_field()

    sql_fields = {
        "source": parse_relation,
        "target": parse_relation,
        "where": parse_expression,
        "order_by": parse_ordering,
    }

    class Meta:
        model = TableMapping
        exclude = ("mapping", "position")
        widgets = {
            "where": forms.Textarea(attrs=MORE_LINES),
            "order_by": forms.Textarea(attrs={"rows": 1, "cols": 60}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "source" in self.fields:  # not where an account may only look
            self._offer()

    def _offer(self) -> None:
        """What each field wants, and what there is to choose from."""
        per_line = "One a line."
        self.fields["key"].help_text = f"Source columns. {per_line} Empty: the primary key."
        self.fields["existing_match"].help_text = f"Target columns, or expressions over them. {per_line}"
        self.fields["source_id"].help_text = f"{per_line} Empty: the default names. The word false: none."
        table, live = self.instance, self.live
        self.fields["source"].widget = OfferingInput(
            "source-tables",
            {"source-tables": live.tables("source"), "source-columns": live.source_columns(table) or []},
        )
        names = [other.name or default_name(other.source) or "" for other in table.mapping.tables.all()]
        self.fields["target"].widget = OfferingInput(
            "target-tables",
            {
                "target-tables": live.tables("target"),
                "target-columns": live.columns("target", table.target) or [],
                "table-names": names,
            },
        )
        offered = f"Offered from environment {live.environment}." if live.environment else ""
        self.fields["source"].help_text = live.note or offered

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        self.check_table("source", "source")
        self.check_table("target", "target")
        for name in ("joins", "existing_match"):
            if problems := self._list_problems(name):
                self.add_error(name, problems)
        if self.cleaned_data.get("key") and self.cleaned_data.get("key_is_content"):
            self.add_error("key", "Either the key is the row's content, or it has columns.")
        return cleaned

    def _list_problems(self, name: str) -> list[str]:
        value = self.cleaned_data.get(name) or []
        if name == "joins":
            return [str(problem) for problem in check_joins(value)]
        return [text for item in value for text in sql_problems(item, parse_expression)]

    def full_clean(self) -> None:
        """After the instance has the new values: the key's columns must exist in the source."""
        super().full_clean()
        if self.is_bound and not self.errors and (known := self.live.source_columns(self.instance)):
            unknown = [name for name in self.instance.key if name not in known]
            if unknown:
                self.add_error("key", f"The source has no column {', '.join(unknown)}.")


class ColumnRowForm(PositionedForm[ColumnMapping]):
    """A column mapping as a row of its table mapping's page."""

    source_columns = NamesField(
        label="Source column", required=False, one_line=True, widget=OfferingInput("source-columns")
    )
    constant = ConstantField(required=False, help_text='legacy, 12, null, "12" for a text')

    sql_fields = {
        "expr": parse_expression,
        "lookup_table": parse_relation,
        "lookup_key": parse_expression,
        "lookup_value": parse_expression,
    }

    class Meta:
        model = ColumnMapping
        fields = (
            "position", "name", "source_columns", "expr", "constant",
            "ref_table", "ref_column", "missing", "lookup_table", "lookup_key", "lookup_value",
        )  # fmt: skip
        widgets = {
            "name": OfferingInput("target-columns"),
            "expr": forms.Textarea(attrs={"rows": 1, "cols": 30}),
            "lookup_table": OfferingInput("source-tables"),
            "lookup_key": forms.Textarea(attrs={"rows": 1}),
            "lookup_value": forms.Textarea(attrs={"rows": 1}),
            "ref_table": OfferingInput("table-names"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["constant"] = (self.instance.has_value, self.instance.value)

    def siblings(self) -> QuerySet[ColumnMapping]:
        return self.instance.table.columns.all()

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        self.instance.has_value, self.instance.value = self.cleaned_data.get("constant") or (False, None)
        return cleaned


class ColumnFormSet(LabelledFormSet[ColumnMapping, TableMapping]):
    """The column mappings of a table: unknown columns are refused where the tables are known."""

    form: type[ColumnRowForm]

    def clean(self) -> None:
        super().clean()
        live = self.form.live
        source = live.source_columns(self.instance)
        target = live.columns("target", self.instance.target)
        for form in self.forms:
            if form.cleaned_data.get("DELETE") or not form.has_changed():
                continue
            name, sources = form.cleaned_data.get("name"), form.cleaned_data.get("source_columns") or []
            if target and name and name not in target:
                form.add_error("name", f"{self.instance.target} has no such column.")
            unknown = [column for column in sources if source and column not in source]
            if unknown:
                form.add_error("source_columns", f"The source has no column {', '.join(unknown)}.")
