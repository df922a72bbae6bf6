"""How the pages save: databases are asked before anything is locked, and nobody's newer work is undone."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from weakref import WeakKeyDictionary

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict

from mappings.forms import meanwhile
from mappings.models import Environment
from mappings.web.generics import AnyModel, ModelAdmin, ModelForm

ATTEMPTS = 3

_saving: WeakKeyDictionary[HttpRequest, ExitStack] = WeakKeyDictionary()


class ChangedMeanwhile(Exception):
    """Between the look at what is stored and the saving somebody else saved."""


class GuardedForm(ModelForm[Environment]):
    """A form that refuses to be saved over what somebody else saved since its page was opened."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput, strip=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and not self.is_bound:
            self.initial["seen"] = meanwhile.token(self.instance)

    def full_clean(self) -> None:
        """The same page, sent again, is one that has seen what it was refused for."""
        super().full_clean()
        if self.is_bound and self.instance.pk and (result := self.changes()):
            self.add_error(None, result)
            fresh = QueryDict(mutable=True)
            fresh.update(self.data)
            fresh[self.add_prefix("seen")] = meanwhile.token(self._stored())
            self.data = fresh

    def changes(self) -> list[str]:
        return meanwhile.changes(self._stored(), str(self.data.get(self.add_prefix("seen"), "")))

    def _stored(self) -> Environment:
        """As it is in the database now: the instance has what was typed."""
        return Environment.objects.get(pk=self.instance.pk)


class SavingAdmin(ModelAdmin[AnyModel]):
    """A page whose transaction begins with the saving.

    Django begins it before the form is looked at. But forms ask databases that may not answer, and the control
    database ends whoever waits within a transaction.
    """

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        for _ in range(ATTEMPTS):
            try:
                with ExitStack() as _saving[request]:
                    return self._page(request, object_id, form_url, extra_context)
            except ChangedMeanwhile:
                continue  # the form says who and what
        raise ChangedMeanwhile

    def _page(self, *asked: Any) -> HttpResponse:
        """Django's own page, within no transaction."""
        page: HttpResponse = self._changeform_view(*asked)  # type: ignore[attr-defined]
        return page

    def save_model(self, request: HttpRequest, obj: AnyModel, form: Any, change: bool) -> None:
        """From here on nobody else saves it until all of it is saved."""
        _saving[request].enter_context(transaction.atomic())
        if change:
            type(obj)._default_manager.select_for_update().get(pk=obj.pk)
            if form.changes():
                raise ChangedMeanwhile
        super().save_model(request, obj, form, change)
