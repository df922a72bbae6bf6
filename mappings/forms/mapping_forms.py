"""The forms: the same thing as the mapping file, with tables and columns offered and checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Max, QuerySet

from mappings.catalog.fingerprints import Side
from mappings.connections.sessions import check_url
from mappings.expressions.parser import parse_relation
from mappings.forms.fields import OfferingInput
from mappings.forms.generics import AnyModel, BaseInlineFormSet, ModelForm, ParentModel
from mappings.forms.live_tables import LiveTables
from mappings.forms.saving import GuardedForm
from mappings.language.fields import Notes
from mappings.language.file import MAX_BYTES, parse
from mappings.models import ColumnMapping, Environment, Mapping, TableMapping
from mappings.planning.environment_identity import shared_target
from mappings.problems import Refused

Parser = Callable[[str], object]
MORE_LINES = {"rows": 2, "cols": 60}


class EnvironmentForm(GuardedForm[Environment]):
    """An environment; an address is never shown again, an empty one keeps what is stored."""

    source_url = forms.CharField(label="Source address", required=False, widget=forms.PasswordInput)
    target_url = forms.CharField(label="Target address", required=False, widget=forms.PasswordInput)

    class Meta:
        model = Environment
        fields = ("name", "source_url", "target_url", "after")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for side in ("source", "target"):
            if (field := self.fields.get(f"{side}_url")) is None:  # whose account may only look
                continue
            field.widget.attrs.update(autocomplete="off", size=80)
            field.help_text = "postgresql://user:password@host:port/database"
            if self.instance.pk:
                field.help_text = f"Now {self.instance.label(side)}. Leave empty to keep it."

    def clean_source_url(self) -> str:
        return self._checked("source_url")

    def clean_target_url(self) -> str:
        return self._checked("target_url")

    def _checked(self, name: str) -> str:
        url = str(self.cleaned_data[name]).strip()
        if not url and not self.instance.pk:
            raise ValidationError("The address is missing.")
        if url and (problems := check_url(url)):
            raise ValidationError(problems)
        return url

    def clean(self) -> dict[str, Any] | None:
        """The addresses are the instance's from here on, so that they are checked as they would be saved."""
        for name in ("source_url", "target_url"):
            if self.cleaned_data.get(name):
                setattr(self.instance, name, self.cleaned_data[name])
        return super().clean()

    def full_clean(self) -> None:
        super().full_clean()
        if self.is_bound and not self.errors:
            for problem in shared_target(self.instance):
                self.add_error(None, str(problem))


def note_field() -> forms.CharField:
    """Why something is changed: a note on the revision that saving makes."""
    return forms.CharField(
        label="Note on the revision",
        required=False,
        widget=forms.TextInput(attrs={"size": 60}),
        help_text="Why it is changed; kept with the revision that saving makes.",
    )


class MappingFileForm(forms.Form):
    """A mapping file, uploaded or pasted; `spec` is what it says."""

    file = forms.FileField(label="Mapping file", required=False)
    text = forms.CharField(
        label="or its text",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 24, "cols": 100}),
    )
    note = note_field()

    def clean(self) -> dict[str, Any]:
        upload, text = self.cleaned_data.get("file"), self.cleaned_data.get("text")
        if bool(upload) == bool(text):
            raise ValidationError("Choose a file or paste its text, one of the two.")
        try:
            self.spec = parse(upload.read(MAX_BYTES + 1) if upload else str(text))
        except Refused as refused:
            raise ValidationError([str(problem) for problem in refused.problems]) from None
        return self.cleaned_data


class OfferingForm(ModelForm[AnyModel]):
    """A form that offers what is in the live databases; the admin sets `live` on a subclass for each request.

    only_looks: it was sent to see what is offered elsewhere, and is shown again as it was filled.
    """

    live: LiveTables = LiveTables(None)
    only_looks = False
    sql_fields: dict[str, Parser] = {}

    def is_valid(self) -> bool:
        return super().is_valid() and not self.only_looks

    def clean(self) -> dict[str, Any] | None:
        """Each SQL field that is filled is parsed, each table looked up."""
        cleaned = super().clean()
        for name, parse_text in self.sql_fields.items():
            text = self.cleaned_data.get(name)
            if text and (problems := sql_problems(text, parse_text)):
                self.add_error(name, problems)
        return cleaned

    def check_table(self, side: Side, name: str) -> None:
        """Refuses a table that does not exist on that side."""
        text = self.cleaned_data.get(name)
        if text and name not in self.errors and self.live.columns(side, text) == []:
            self.add_error(name, f"There is no such table in {side} of {self.live.environment}.")


def sql_problems(text: str, parse_text: Parser) -> list[str]:
    notes = Notes()
    notes.sql("", text, parse_text)
    return [problem.text for problem in notes.problems]


def label_for_readers(fields: dict[str, forms.Field], row: str) -> None:
    """Names the inputs of a table row, which have no visible label of their own."""
    for name, field in fields.items():
        label = str(field.label or name.replace("_", " ").lower())
        field.widget.attrs["aria-label"] = f"{label}, {row}"


class LabelledFormSet(BaseInlineFormSet[AnyModel, ParentModel, ModelForm[AnyModel]]):
    """Inline rows whose every input says which row it belongs to."""

    def add_fields(self, form: ModelForm[AnyModel], index: int | None) -> None:
        super().add_fields(form, index)
        label_for_readers(form.fields, "new row" if index is None else f"row {index + 1}")


class MappingForm(OfferingForm[Mapping], GuardedForm[Mapping]):
    """A mapping's own fields."""

    note = note_field()

    class Meta:
        model = Mapping
        fields = ("name", "description", "widen", "on_error", "max_quarantined")
        widgets = {"description": forms.Textarea(attrs=MORE_LINES)}
        help_texts = {"name": "Letters, digits, - and _; unique."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lists = {"source-tables": self.live.tables("source"), "target-tables": self.live.tables("target")}
        if "name" in self.fields:  # not where an account may only look
            self.fields["name"].widget = OfferingInput(lists=lists)


Positioned = TypeVar("Positioned", bound=TableMapping | ColumnMapping)


class PositionedForm(OfferingForm[Positioned]):
    """A row of an inline; without a position it goes to the end."""

    position = forms.IntegerField(
        required=False, min_value=0, widget=forms.NumberInput(attrs={"class": "narrow"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.pk:
            self.initial["position"] = None

    def save(self, commit: bool = True) -> Positioned:
        if self.instance.position is None:
            last = self.siblings().aggregate(last=Max("position"))["last"]
            self.instance.position = 0 if last is None else last + 1
        return super().save(commit)

    def siblings(self) -> QuerySet[Positioned]:
        """The rows among which the position counts."""
        raise NotImplementedError


class TableRowForm(PositionedForm[TableMapping]):
    """A table mapping as a row of its mapping's page."""

    sql_fields = {"source": parse_relation, "target": parse_relation}

    class Meta:
        model = TableMapping
        fields = ("position", "name", "source", "target")
        widgets = {"source": OfferingInput("source-tables"), "target": OfferingInput("target-tables")}

    def siblings(self) -> QuerySet[TableMapping]:
        return self.instance.mapping.tables.all()

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        self.check_table("source", "source")
        self.check_table("target", "target")
        return cleaned
