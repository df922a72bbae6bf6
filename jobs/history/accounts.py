"""Sign-ins, refused ones and lockouts, and every change of accounts, groups and rights, by page or command alike.

Heard by Django's and axes' signals. A name that no account has is not kept: it may be a password in the wrong field.
"""

from __future__ import annotations

from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, Group, Permission, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save

from jobs.history.chosen import ACCOUNT
from jobs.history.record import REFUSED, About, record

WATCHED = ("username", "email", "first_name", "last_name", "is_active", "is_staff", "is_superuser")
UNKNOWN = "a name that no account has"
CHANGES = {"post_add": "given", "post_remove": "taken away", "pre_clear": "taken away"}


def listen() -> None:
    """Called once, when all apps are there."""
    user_logged_in.connect(_signed_in, dispatch_uid="history")
    user_logged_out.connect(_signed_out, dispatch_uid="history")
    user_login_failed.connect(_sign_in_failed, dispatch_uid="history")
    user_locked_out.connect(_locked_out, dispatch_uid="history")
    pre_save.connect(_user_changes, sender=User, dispatch_uid="history")
    for model in (User, Group):
        post_save.connect(_made, sender=model, dispatch_uid="history")
        post_delete.connect(_deleted, sender=model, dispatch_uid="history")
    pre_save.connect(_group_changes, sender=Group, dispatch_uid="history")
    for through in (User.groups.through, User.user_permissions.through, Group.permissions.through):
        m2m_changed.connect(_rights_change, sender=through, dispatch_uid="history")


def _signed_in(user: AbstractBaseUser, **_: Any) -> None:
    name = user.get_username()
    record(ACCOUNT, "signed in", about=About(subject=name), actor=user)  # type: ignore[arg-type]


def _signed_out(user: AbstractBaseUser | None, **_: Any) -> None:
    if user is not None:
        name = user.get_username()
        record(ACCOUNT, "signed out", about=About(subject=name), actor=user)  # type: ignore[arg-type]


def _sign_in_failed(credentials: dict[str, Any], request: Any = None, **_: Any) -> None:
    if not getattr(request, "axes_locked_out", False):  # told as such
        _refused("sign in", credentials.get("username"), "Wrong name or password.")


def _locked_out(username: str | None = None, **_: Any) -> None:
    text = "Too many wrong passwords: this name is closed for this address for a while."
    _refused("sign in, locked out", username, text)


def _refused(verb: str, name: Any, text: str) -> None:
    known = get_user_model().objects.filter(username=str(name)[:150].replace("\0", "")).exists()
    record(ACCOUNT, verb, text, About(subject=str(name) if known else UNKNOWN), REFUSED)


def _user_changes(instance: User, update_fields: Any = None, raw: bool = False, **_: Any) -> None:
    if raw or instance._state.adding or (update_fields and set(update_fields) == {"last_login"}):
        return
    old = User.objects.filter(pk=instance.pk).first()
    if old is None:
        return
    said = [
        f"{name.replace('_', ' ')}: {getattr(old, name)!s} → {getattr(instance, name)!s}"
        for name in WATCHED
        if getattr(old, name) != getattr(instance, name)
    ]
    if old.password != instance.password:
        said.append("password changed")
    if said:
        record(ACCOUNT, "changed", "; ".join(said), About(subject=old.username))


def _group_changes(instance: Group, raw: bool = False, **_: Any) -> None:
    old = None if raw or instance._state.adding else Group.objects.filter(pk=instance.pk).first()
    if old and old.name != instance.name:
        text = f"name: {old.name} → {instance.name}"
        record(ACCOUNT, "group changed", text, About(subject=old.name))


def _made(instance: Model, created: bool, raw: bool = False, **_: Any) -> None:
    if created and not raw:
        said = [name for name in ("is_staff", "is_superuser") if getattr(instance, name, False)]
        text = ", ".join(name.replace("_", " ") for name in said)
        record(ACCOUNT, f"{_noun(instance)}made", text, About(subject=str(instance)))


def _deleted(instance: Model, **_: Any) -> None:
    record(ACCOUNT, f"{_noun(instance)}deleted", about=About(subject=str(instance)))


def _rights_change(
    instance: Model, action: str, model: Any, reverse: bool, pk_set: set[int] | None, **_: Any
) -> None:
    """Groups and permissions that somebody or a group is given, from either end."""
    if action not in CHANGES or (pk_set is not None and not pk_set):
        return
    others = model.objects.filter(pk__in=pk_set) if pk_set is not None else None
    names = ", ".join(sorted(_named(one) for one in others)) if others is not None else "all of them"
    what = "members" if reverse else "permissions" if model is Permission else "groups"
    text = f"{what} {CHANGES[action]}: {names}"
    record(ACCOUNT, "rights changed", text, About(subject=_named(instance)))


def _named(one: Model) -> str:
    if isinstance(one, Permission):
        return f"{one.content_type.app_label}.{one.codename}"
    return str(one)


def _noun(instance: Model) -> str:
    """What stands before the verb: an account is what these entries are of anyway."""
    return "group " if isinstance(instance, Group) else ""
