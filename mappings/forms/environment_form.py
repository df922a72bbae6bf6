"""The form of an environment: both databases as fields or in one piece, tested before anything is saved."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from mappings.catalog.fingerprints import Side
from mappings.forms import address_fields
from mappings.forms.address_fields import AddressFields, Given, field_names
from mappings.forms.kept_secrets import opened, sealed
from mappings.forms.saving import GuardedForm
from mappings.language.checks import PARAMETER
from mappings.models import CredentialsUnreadable, Environment
from mappings.planning.connection_test import Findings, tested
from mappings.planning.environment_identity import shared_target

SIDES: tuple[Side, ...] = ("source", "target")


class EnvironmentForm(AddressFields, GuardedForm):
    """An environment. Passwords are never shown again; an empty one keeps what is stored, for the same place."""

    kept = forms.CharField(required=False, widget=forms.HiddenInput)
    parameters = forms.CharField(
        label="Parameters",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text="Values of the parameters that mappings name, one a line: tenant = 12",
    )

    class Meta:
        model = Environment
        fields = ("name", "after", "parameters")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.findings: tuple[Findings, ...] = ()
        self.initial["parameters"] = "\n".join(f"{k} = {v}" for k, v in self.instance.parameters.items())
        self.secrets = opened(str(self.data.get(self.add_prefix("kept"), "")), self.instance.pk)
        self.given: dict[Side, Given] = {}
        if "source_url" in self.fields:  # not for those who may only look
            for side in SIDES:
                self._prepare(side)

    def _prepare(self, side: Side) -> None:
        """What the fields of a side show: what is stored, but for the password."""
        stored = Given(side, self._stored_url(side))
        self.initial.update(stored.parts)
        if self.instance.pk:
            self.fields[f"{side}_url"].help_text = f"Now {self.instance.label(side)}. Leave empty to keep it."
        self._tell_password(side, "Set. Leave empty to keep it." if stored.has_password else "")

    def _tell_password(self, side: Side, said: str) -> None:
        help_text = said or "Also env:NAME or file:PATH, of the secrets that the server offers."
        self.fields[f"{side}_password"].help_text = help_text

    def _stored_url(self, side: Side) -> str:
        if not self.instance.pk:
            return ""
        try:
            return self.instance.source_url if side == "source" else self.instance.target_url
        except CredentialsUnreadable:
            return ""

    def clean_parameters(self) -> dict[str, str]:
        """By name; a line that is no `name = value` is an error."""
        result: dict[str, str] = {}
        for line in str(self.cleaned_data["parameters"]).splitlines():
            name, equals, value = (part.strip() for part in line.partition("="))
            if line.strip() and not (equals and PARAMETER.fullmatch(name)):
                raise ValidationError(f"This is no name = value: {line.strip()[:80]}")
            if line.strip():
                result[name] = value
        return result

    def full_clean(self) -> None:
        """The addresses are the instance's before it is checked, and nothing typed is lost afterwards."""
        if self.is_bound and "source_url" in self.fields:
            for side in SIDES:
                self.given[side] = self._read(side)
        super().full_clean()
        if not self.given:
            return
        if self.is_test:
            self._test()
        elif not self.errors:
            self._refuse_shared()
        self._keep()

    def _read(self, side: Side) -> Given:
        names = field_names(side)
        posted = {name: str(self.data[at]) for name in names if (at := self.add_prefix(name)) in self.data}
        stored = self._stored_url(side)
        given = address_fields.read(side, posted, self.secrets, stored)
        if given.typed:
            self._tell_password(side, "Set, as typed just now. Leave empty to keep it.")
        if given.url and given.url != stored:
            setattr(self.instance, f"{side}_url", given.url)
        return given

    def clean(self) -> dict[str, Any] | None:
        for given in self.given.values():
            if self.is_test and given.side not in self.tested:
                continue
            for name, sentences in given.errors.items():
                self.add_error(name, ValidationError(sentences))
        return super().clean()

    def is_valid(self) -> bool:
        """What is only tested is not saved."""
        return super().is_valid() and not self.is_test

    @property
    def is_test(self) -> bool:
        return "_test" in self.data

    @property
    def tested(self) -> tuple[Side, ...]:
        """The sides that are asked for: one alone, or both."""
        asked = [side for side in SIDES if self.data.get("_test") == side]
        return tuple(asked) or SIDES

    def _test(self) -> None:
        """Looks at each side whose address is in order, by itself; the rest of the form may be wrong meanwhile."""
        for name in [name for name in self.errors if not name.startswith(self.tested)]:
            del self.errors[name]
        urls = {side: self.given[side].url for side in self.tested if not self.given[side].errors}
        self.findings = tested({side: url for side, url in urls.items() if url})

    def _refuse_shared(self) -> None:
        for problem in shared_target(self.instance):
            self.add_error(None, str(problem))

    def _keep(self) -> None:
        """Should the page come back, the fields say what the address says, and secrets are kept and not shown."""
        fresh = QueryDict(mutable=True)
        fresh.update(self.data)
        secrets: dict[str, str] = {}
        for given in self.given.values():
            secrets |= given.typed
            if given.url and not given.errors:
                for name, text in given.parts.items():
                    fresh[self.add_prefix(name)] = text
        fresh[self.add_prefix("kept")] = sealed(secrets, self.instance.pk)
        self.data = fresh
