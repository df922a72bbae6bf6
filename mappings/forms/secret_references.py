"""Secrets that a page is given by name: `env:NAME` or `file:PATH`, of those alone that the server's settings offer.

Whoever may edit an environment decides which host its password is sent to. So a page reads no other variable or file
than those set apart for it, and a password only for the hosts that it is kept with.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

LONGEST = 16_384
WAYS = ("env:", "file:")
HOSTS = "_HOSTS"


class SecretRefused(Exception):
    """A sentence that says why there is no such secret for a page."""


@dataclass(frozen=True, slots=True)
class Secret:
    """text: the secret itself; hosts: to which it may be sent, () where it does not say."""

    text: str
    hosts: tuple[str, ...]


def is_reference(text: str) -> bool:
    """Whether something is a secret's name and not the secret."""
    return text.startswith(WAYS)


def secret(reference: str) -> Secret:
    """What is meant; SecretRefused where it is not offered to pages, or not there."""
    way, _, name = reference.partition(":")
    return _of_variable(name) if way == "env" else _of_file(name)


def _of_variable(name: str) -> Secret:
    prefix = settings.SECRET_VARIABLES
    if not name.startswith(prefix) or name.endswith(HOSTS):
        raise SecretRefused(f"Pages may use variables whose name begins with {prefix} alone.")
    text = os.environ.get(name, "").rstrip("\r\n")
    if not text:
        raise SecretRefused(f"The variable {name} of the server's environment is not set.")
    return Secret(text, _hosts(os.environ.get(f"{name}{HOSTS}", "")))


def _of_file(name: str) -> Secret:
    """Its first line is the secret, the second the hosts."""
    if not settings.SECRET_FILES:
        raise SecretRefused("No folder of secrets is set (SECRET_FILES), so pages may use no file.")
    folder = Path(settings.SECRET_FILES).resolve()
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise SecretRefused(f"Pages may use files below {folder} alone.")
        with path.open(encoding="utf-8") as file:
            first, second = file.readline(LONGEST), file.readline(LONGEST)
    except (OSError, ValueError, RuntimeError):
        raise SecretRefused(f"There is no file {name} below {folder} that can be read.") from None
    if not first.strip():
        raise SecretRefused(f"The first line of the file {name} is empty.")
    return Secret(first.rstrip("\r\n"), _hosts(second))


def password_for(reference: str, host: str) -> str:
    """A password that is sent to `host`; SecretRefused where it is not kept for that host."""
    result = secret(reference)
    if host.casefold().rstrip(".") in result.hosts:
        return result.text
    where = f"the variable {reference.partition(':')[2]}{HOSTS}"
    where = where if reference.startswith("env:") else "the second line of its file"
    raise SecretRefused(f"This password is not kept for the host {host}: list the host in {where}.")


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(host.strip().casefold().rstrip(".") for host in text.split(",") if host.strip())
