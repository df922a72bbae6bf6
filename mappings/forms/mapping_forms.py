"""The forms: the same thing as the mapping file, with tables and columns offered and checked."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from mappings.catalog.fingerprints import Side
from mappings.connections.sessions import check_url
from mappings.forms.generics import ModelForm
from mappings.forms.kept_secrets import opened, sealed
from mappings.forms.saving import GuardedForm
from mappings.language.checks import PARAMETER
from mappings.language.file import MAX_BYTES, parse
from mappings.models import Environment, Mapping
from mappings.planning.connection_test import Findings, tested
from mappings.planning.environment_identity import shared_target
from mappings.problems import Refused


class EnvironmentForm(GuardedForm):
    """An environment; an address is never shown again, an empty one keeps what is stored."""

    source_url = forms.CharField(label="Source address", required=False, widget=forms.PasswordInput)
    target_url = forms.CharField(label="Target address", required=False, widget=forms.PasswordInput)
    kept = forms.CharField(required=False, widget=forms.HiddenInput)
    parameters = forms.CharField(
        label="Parameters",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text="Values of the parameters that mappings name, one a line: tenant = 12",
    )

    class Meta:
        model = Environment
        fields = ("name", "source_url", "target_url", "after", "parameters")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.findings: tuple[Findings, ...] = ()
        self.initial["parameters"] = "\n".join(f"{k} = {v}" for k, v in self.instance.parameters.items())
        self.secrets = opened(str(self.data.get(self.add_prefix("kept"), "")), self.instance.pk)
        for side in ("source", "target"):
            if (field := self.fields.get(f"{side}_url")) is None:  # whose account may only look
                continue
            field.widget.attrs.update(autocomplete="off", size=80)
            field.help_text = "postgresql://user:password@host:port/database"
            if self.instance.pk:
                field.help_text = f"Now {self.instance.label(side)}. Leave empty to keep it."
            if self._typed(f"{side}_url"):
                field.help_text = "Set, as typed just now. Leave empty to keep it."

    def clean_parameters(self) -> dict[str, str]:
        """By name; a line that is no `name = value` is an error."""
        found: dict[str, str] = {}
        for line in str(self.cleaned_data["parameters"]).splitlines():
            name, equals, value = (part.strip() for part in line.partition("="))
            if line.strip() and not (equals and PARAMETER.fullmatch(name)):
                raise ValidationError(f"This is no name = value: {line.strip()[:80]}")
            if line.strip():
                found[name] = value
        return found

    def clean_source_url(self) -> str:
        return self._checked("source_url")

    def clean_target_url(self) -> str:
        return self._checked("target_url")

    def _checked(self, name: str) -> str:
        url = self._typed(name)
        if not url and not self.instance.pk:
            raise ValidationError("The address is missing.")
        if url and (problems := check_url(url)):
            raise ValidationError(problems)
        return url

    def _typed(self, name: str) -> str:
        """The address as it is typed now, or was on the last try."""
        return str(self.data.get(self.add_prefix(name)) or "").strip() or self.secrets.get(name, "")

    def _keep(self) -> None:
        """Should the page come back, it has what was typed, which is not shown."""
        names = ("source_url", "target_url")
        secrets: dict[str, str] = {name: self._typed(name) for name in names if name in self.fields}
        fresh = QueryDict(mutable=True)
        fresh.update(self.data)
        fresh[self.add_prefix("kept")] = sealed(secrets, self.instance.pk)
        self.data = fresh

    def is_valid(self) -> bool:
        """What is only tested is not saved."""
        return super().is_valid() and not self.is_test

    @property
    def is_test(self) -> bool:
        return "_test" in self.data

    def _test(self) -> None:
        """Looks at each side whose address is in order, by itself."""
        stored = self.instance
        sides: tuple[Side, ...] = ("source", "target")
        kept = {"source": stored.source_url_encrypted, "target": stored.target_url_encrypted}
        self.findings = tested(
            {
                side: stored.source_url if side == "source" else stored.target_url
                for side in sides
                if f"{side}_url" not in self.errors and kept[side]
            }
        )

    def clean(self) -> dict[str, Any] | None:
        """The addresses are the instance's from here on, so that they are checked as they would be saved."""
        for name in ("source_url", "target_url"):
            if self.cleaned_data.get(name):
                setattr(self.instance, name, self.cleaned_data[name])
        return super().clean()

    def full_clean(self) -> None:
        super().full_clean()
        if not self.is_bound:
            return
        if self.is_test:
            self._test()
        elif not self.errors:
            self._refuse_shared()
        self._keep()

    def _refuse_shared(self) -> None:
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


class MappingForm(ModelForm[Mapping]):
    """What a new mapping is called; all the rest has its place on the mapping's own page."""

    class Meta:
        model = Mapping
        fields = ("name", "description")
        widgets = {"description": forms.TextInput(attrs={"size": 60})}
        help_texts = {"name": "Letters, digits, - and _; unique."}
