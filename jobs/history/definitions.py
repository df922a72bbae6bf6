"""Changes of environments, mappings and revisions, by page or command alike: heard by the models' signals.

Of an address only host, port and database are said; of user, password and parameters, that they changed.
"""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_delete, post_save, pre_save
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from jobs.history.record import About, record
from mappings.models import CredentialsUnreadable, Environment, Mapping, Revision

SHOWN = ("host", "port", "dbname")
CREDENTIALS = ("user", "password")


def listen() -> None:
    """Called once, when all apps are there."""
    pre_save.connect(_environment_changes, sender=Environment, dispatch_uid="history")
    post_save.connect(_environment_made, sender=Environment, dispatch_uid="history")
    post_delete.connect(_environment_deleted, sender=Environment, dispatch_uid="history")
    pre_save.connect(_mapping_changes, sender=Mapping, dispatch_uid="history")
    post_save.connect(_mapping_made, sender=Mapping, dispatch_uid="history")
    post_delete.connect(_mapping_deleted, sender=Mapping, dispatch_uid="history")
    post_save.connect(_revision_made, sender=Revision, dispatch_uid="history")


def _environment_changes(instance: Environment, raw: bool = False, **_: Any) -> None:
    old = None if raw or instance._state.adding else _stored(instance)
    if old is None:
        return
    said = [f"name: {old.name} → {instance.name}"] if old.name != instance.name else []
    for side in ("source", "target"):
        said += _of_side(side, old, instance)
    if old.after_id != instance.after_id:
        said.append(f"after: {old.after or 'none'} → {instance.after or 'none'}")
    if said:
        record("environment", "changed", "; ".join(said), About(environment=old.name))


def _stored(instance: Environment) -> Environment | None:
    return Environment.objects.select_related("after").filter(pk=instance.pk).first()


def _of_side(side: Any, old: Environment, new: Environment) -> list[str]:
    """What changed of one address, without what is secret in it."""
    before, after = _parts(side, old), _parts(side, new)
    if before == after:
        return []
    said = []
    if old.label(side) != new.label(side):
        said.append(f"{side}: {old.label(side)} → {new.label(side)}")
    said += [f"{side}: {name} changed" for name in CREDENTIALS if before.get(name) != after.get(name)]
    others = {*before, *after} - {*SHOWN, *CREDENTIALS}
    said += [f"{side}: {name} changed" for name in sorted(others) if before.get(name) != after.get(name)]
    return said


def _parts(side: str, environment: Environment) -> dict[str, Any]:
    try:
        return conninfo_to_dict(environment.source_url if side == "source" else environment.target_url)
    except (CredentialsUnreadable, ProgrammingError):
        return {}


def _environment_made(instance: Environment, created: bool, raw: bool = False, **_: Any) -> None:
    if created and not raw:
        after = f", after {instance.after}" if instance.after else ""
        text = f"{instance.label('source')} to {instance.label('target')}{after}"
        record("environment", "made", text, About(environment=instance.name))


def _environment_deleted(instance: Environment, **_: Any) -> None:
    record("environment", "deleted", about=About(environment=instance.name))


def _mapping_changes(instance: Mapping, raw: bool = False, update_fields: Any = None, **_: Any) -> None:
    if raw or instance._state.adding or (update_fields is not None and "name" not in update_fields):
        return
    old = Mapping.objects.filter(pk=instance.pk).values_list("name", flat=True).first()
    if old and old != instance.name:
        record("mapping", "renamed", f"name: {old} → {instance.name}", About(mapping=old))


def _mapping_made(instance: Mapping, created: bool, raw: bool = False, **_: Any) -> None:
    if created and not raw:
        record("mapping", "made", about=About(mapping=instance.name))


def _mapping_deleted(instance: Mapping, **_: Any) -> None:
    record("mapping", "deleted", about=About(mapping=instance.name))


def _revision_made(instance: Revision, created: bool, raw: bool = False, **_: Any) -> None:
    if created and not raw:
        about = About(instance.mapping.name, instance.number, instance.sha256)
        record("mapping", "revision saved", instance.note, about, actor=instance.author)
