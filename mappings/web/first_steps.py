"""The way from an empty installation to the first review, a step at a time; each says what comes next."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.urls import reverse

from mappings.models import Environment, Mapping


@dataclass(frozen=True, slots=True)
class Step:
    """One step. url and button: where it is done, '' for whom it is not open to; is_next: this one is to be done."""

    title: str
    text: str
    done: bool
    url: str = ""
    button: str = ""
    is_next: bool = False


User = AbstractBaseUser | AnonymousUser | PermissionsMixin


def first_steps(user: User, mapping: Mapping | None = None, complete: bool = False) -> tuple[Step, ...]:
    """The four steps as they stand. mapping: the one that is open, else the latest; complete: nothing of it is open."""
    mapping = mapping or Mapping.objects.order_by("-updated").first()
    frozen = mapping is not None and mapping.revisions.exists()
    steps = [
        _environment(user),
        _tables(user, mapping),
        _match(user, mapping, complete or frozen),
        _review(mapping),
    ]
    at = next((number for number, step in enumerate(steps) if not step.done), len(steps) - 1)
    return tuple(replace(step, is_next=number == at) for number, step in enumerate(steps))


def _may(user: User, right: str) -> bool:
    return isinstance(user, PermissionsMixin) and user.has_perm(f"mappings.{right}")


def _environment(user: User) -> Step:
    text = "Say where the source and the target are, and test that both answer."
    url = reverse("admin:mappings_environment_add") if _may(user, "add_environment") else ""
    return Step("Environment", text, Environment.objects.exists(), url, "Add an environment")


def _tables(user: User, mapping: Mapping | None) -> Step:
    text = "Tick the source tables to migrate. Each is offered with its likely target."
    if mapping is None:
        url = reverse("admin:mappings_mapping_add") if _may(user, "add_mapping") else ""
        return Step("Tables", f"Name a mapping. {text}", False, url, "Make a mapping")
    url = reverse("admin:studio-add", args=[mapping.pk]) if _may(user, "change_mapping") else ""
    return Step("Tables", text, mapping.tables.exists(), url, "Add tables")


def _match(user: User, mapping: Mapping | None, done: bool) -> Step:
    text = "What surely fits is filled already. Answer what is open: it stands on top of each table."
    may = mapping is not None and _may(user, "change_mapping")
    url = reverse("admin:mappings_mapping_change", args=[mapping.pk]) if mapping and may else ""
    return Step("Match", text, done, url, "Fill what is open")


def _review(mapping: Mapping | None) -> Step:
    text = (
        "See every change of the target with its SQL, warnings and blockers, before anything is written."
        " Start it then: it copies, and compares every row."
    )
    url = reverse("jobs:review", args=[mapping.name]) if mapping else ""
    return Step("Review", text, False, url, f"Review {mapping}" if mapping else "")
