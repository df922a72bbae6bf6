"""Which environment a mapping's page looks at: chosen by each person for each mapping, and remembered."""

from __future__ import annotations

from django.db.models.functions import Now
from django.http import HttpRequest

from mappings.forms.signed_in import signed_in
from mappings.models import Environment, Mapping, Visit

LOOKED_AT = "mappings_environment"
"""The session's key for the environment that was saved last: looked at where none was chosen."""


def environment_of(request: HttpRequest, mapping: Mapping) -> Environment | None:
    """The one asked for in the address, the one chosen for this mapping, the one saved last, or the first in order."""
    asked = Environment.objects.filter(name=request.GET.get("env", "")).first()
    if asked:
        choose(request, mapping, asked)
        return asked
    visits = Visit.objects.filter(mapping=mapping, user=signed_in(request), environment__isnull=False)
    if visit := visits.select_related("environment").first():
        return visit.environment
    saved = Environment.objects.filter(name=request.session.get(LOOKED_AT, "")).first()
    return saved or Environment.objects.filter(after=None).first()


def choose(request: HttpRequest, mapping: Mapping, environment: Environment) -> None:
    """This person looks at this mapping in that environment from now on."""
    Visit.objects.update_or_create(
        mapping=mapping,
        user=signed_in(request),
        defaults={"environment": environment},
        create_defaults={"environment": environment, "seen": Now()},
    )
