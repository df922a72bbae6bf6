"""Webhooks and people's wishes in the admin. An address and a secret are typed in, and never shown again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest

from jobs.history.record import About, record
from jobs.models import Webhook, Wish
from jobs.models.notices import EVENTS, WAYS
from jobs.notices.addresses import parsed
from jobs.notices.failures import Undelivered
from mappings.web.generics import ModelAdmin, ModelForm

KEPT = "Kept as it is if left empty; never shown."


class Choices(forms.MultipleChoiceField):
    """Several of some names, as boxes to tick."""

    widget = forms.CheckboxSelectMultiple


class WebhookForm(ModelForm[Webhook]):
    """A webhook as it is typed in."""

    url = forms.CharField(
        label="Address", required=False, max_length=2000, strip=True, help_text=KEPT,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    secret = forms.CharField(
        required=False, max_length=200, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=f"Signs each request. {KEPT} A new webhook without one gets one, which is shown once.",
    )  # fmt: skip
    events = Choices(choices=list(EVENTS.items()))

    class Meta:
        model = Webhook
        fields = ("name", "url", "secret", "environment", "events", "active")

    def clean_url(self) -> str:
        url = str(self.cleaned_data["url"])
        if not url and self.instance.pk:
            return ""
        try:
            parsed(url)
        except Undelivered as error:
            raise forms.ValidationError(f"{str(error).capitalize()}.") from error
        return url


class WishForm(ModelForm[Wish]):
    """What somebody is told, for an administrator to set."""

    events = Choices(choices=list(EVENTS.items()), required=False)
    ways = Choices(choices=list(WAYS.items()), required=False)

    class Meta:
        model = Wish
        fields = ("user", "environment", "events", "ways")


@admin.register(Webhook)
class WebhookAdmin(ModelAdmin[Webhook]):
    form = WebhookForm
    list_display = ("name", "host", "environment", "active")
    list_select_related = ("environment",)

    def get_fields(self, request: HttpRequest, obj: Webhook | None = None) -> Any:
        """To whom may only look, the address is its host."""
        if obj and not self.has_change_permission(request, obj):
            return ("name", "host", "environment", "events", "active")
        return ("name", "url", "secret", "environment", "events", "active")

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        url, secret = form.cleaned_data["url"], form.cleaned_data["secret"]
        if url:
            obj.url = url
        if not secret and not change:
            secret = Webhook.new_secret()
            messages.warning(request, f"The secret of {obj.name}, which is not shown again: {secret}")
        if secret:
            obj.secret = secret
        super().save_model(request, obj, form, change)
        said = [*form.changed_data, f"leads to {obj.host}"]
        record("notice", f"webhook {'changed' if change else 'made'}", ", ".join(said), _about(obj))

    def delete_model(self, request: HttpRequest, obj: Webhook) -> None:
        record("notice", "webhook deleted", about=_about(obj))
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for hook in queryset:
            self.delete_model(request, hook)


@admin.register(Wish)
class WishAdmin(ModelAdmin[Wish]):
    form = WishForm
    list_display = ("user", "environment", "events", "ways")
    list_select_related = ("user", "environment")
    list_filter = ("environment",)
    search_fields = ("user__username",)

    def save_model(self, request: HttpRequest, obj: Wish, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        text = f"{obj.environment or 'every environment'}: {', '.join(obj.events)} by {', '.join(obj.ways)}"
        record("notice", "wishes changed", text, About(subject=obj.user.get_username()))


def _about(hook: Webhook) -> About:
    return About(subject=hook.name, environment=hook.environment.name if hook.environment else "")
