"""The forms: the same thing as the mapping file, with tables and columns offered and checked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from mappings.language.file import MAX_BYTES, parse
from mappings.models import Mapping
from mappings.problems import Refused
from mappings.web.generics import ModelForm


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


class MappingForm(ModelForm[Mapping]):
    """What a new mapping is called; all the rest has its place on the mapping's own page."""

    class Meta:
        model = Mapping
        fields = ("name", "description")
        widgets = {"description": forms.TextInput(attrs={"size": 60})}
        help_texts = {"name": "Letters, digits, - and _; unique."}
