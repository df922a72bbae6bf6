"""The address of one side of an environment, as fields and in one piece: each says what the other says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django import forms

from mappings.catalog.fingerprints import Side
from mappings.connections.addresses import CHOICES, put_together, taken_apart
from mappings.forms.secret_references import SecretRefused, is_reference, password_for, secret

NAMES = {
    "host": "host", "port": "port", "database": "dbname", "user": "user", "password": "password",
    "sslmode": "sslmode", "sslrootcert": "sslrootcert",
}  # fmt: skip
"""Libpq's name of each field."""

SIGNS = (("host", "host"), ("port", "port"), ("database", "database"), ("user", "user"), ("password", "password"),
         ("sslmode", "sslmode"), ("sslrootcert", "sslrootcert"))  # fmt: skip
SAME_PLACE = ("host", "port", "user")
ROOT_CERTIFICATE = "A file on every host with a worker or the pages; for verify-ca and verify-full."
IN_ONE_PIECE = (
    "In place of the fields above, which then say the same:"
    " postgresql://user:password@host:port/database?sslmode=…"
)
TLS = (("", "as the server likes (prefer)"), *((mode, mode) for mode in CHOICES["sslmode"]))


def text_field(label: str, help_text: str = "", **attrs: object) -> forms.CharField:
    """A part of an address that may be shown."""
    widget = forms.TextInput(attrs={"size": 40, "autocomplete": "off", "spellcheck": "false", **attrs})
    return forms.CharField(label=label, required=False, widget=widget, help_text=help_text)


def secret_field(label: str, help_text: str = "", **attrs: object) -> forms.CharField:
    """What is never shown."""
    widget = forms.PasswordInput(attrs={"size": 40, "autocomplete": "new-password", **attrs})
    return forms.CharField(label=label, required=False, strip=False, widget=widget, help_text=help_text)


class AddressFields(forms.Form):
    """Both sides as fields."""

    source_host, target_host = text_field("Host"), text_field("Host")
    source_port, target_port = (text_field("Port", size=8, placeholder="5432") for _ in range(2))
    source_database, target_database = text_field("Database"), text_field("Database")
    source_user, target_user = text_field("User"), text_field("User")
    source_password, target_password = secret_field("Password"), secret_field("Password")
    source_sslmode = forms.ChoiceField(label="TLS", required=False, choices=TLS)
    target_sslmode = forms.ChoiceField(label="TLS", required=False, choices=TLS)
    source_sslrootcert, target_sslrootcert = (
        text_field("Root certificate", ROOT_CERTIFICATE) for _ in range(2)
    )
    source_url = secret_field("Source address in one piece", IN_ONE_PIECE, size=80)
    target_url = secret_field("Target address in one piece", IN_ONE_PIECE, size=80)


def field_names(side: Side) -> tuple[str, ...]:
    """The names of a side's fields, the address in one piece last."""
    return (*(f"{side}_{name}" for name in NAMES), f"{side}_url")


@dataclass
class Given:
    """One side as a form gives it. url: '' where it cannot be told; errors: sentences by the form's fields.

    typed: secrets that were typed into this form, by field, for the next try.
    """

    side: Side
    url: str = ""
    errors: dict[str, list[str]] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, str]:
        """What the address says, by the form's fields; never the password."""
        result = taken_apart(self.url).parts
        names = {name: known for name, known in NAMES.items() if name != "password"}
        return {f"{self.side}_{name}": result.get(known, "") for name, known in names.items()}

    @property
    def has_password(self) -> bool:
        return bool(taken_apart(self.url).parts.get("password"))

    def fail(self, name: str, sentence: str) -> None:
        """An error of one field."""
        self.errors.setdefault(f"{self.side}_{name}", []).append(sentence)


def read(side: Side, data: Mapping[str, str], kept: Mapping[str, str], stored: str) -> Given:
    """The address that is meant. data: what is posted; kept: typed on the last try; stored: the one until now."""
    given = Given(side)
    if whole := data.get(f"{side}_url", "").strip():
        _in_one_piece(given, whole)
    elif f"{side}_host" not in data or not (stored or _any_field(side, data)):
        _as_it_was(given, kept, stored)
    else:
        _from_fields(given, {name: data.get(f"{side}_{name}", "") for name in NAMES}, kept, stored)
    return given


def _any_field(side: Side, data: Mapping[str, str]) -> bool:
    return any(data.get(f"{side}_{name}", "").strip() for name in NAMES)


def _as_it_was(given: Given, kept: Mapping[str, str], stored: str) -> None:
    name = f"{given.side}_url"
    given.typed = {key: kept[key] for key in (name, f"{given.side}_password") if key in kept}
    if whole := kept.get(name):
        _in_one_piece(given, whole)
    elif stored:
        given.url = stored
    else:
        given.fail("host", "The address is missing.")


def _in_one_piece(given: Given, whole: str) -> None:
    given.typed = {f"{given.side}_url": whole}
    try:
        url = secret(whole).text if is_reference(whole) else whole
    except SecretRefused as refused:
        given.fail("url", str(refused))
        return
    address = taken_apart(url)
    for problem in address.problems:
        given.fail("url", problem)
    if address.problems:
        return
    given.url = url
    if not is_reference(whole) and (password := address.parts.get("password")):
        given.typed[f"{given.side}_password"] = password


def _from_fields(given: Given, typed: dict[str, str], kept: Mapping[str, str], stored: str) -> None:
    """Of the address until now stays what no field is for, and the password where it is for the same place."""
    before = taken_apart(_resolved(kept.get(f"{given.side}_url", "")) or stored).parts
    parts = {NAMES[name]: text if name == "password" else text.strip() for name, text in typed.items()}
    parts["port"] = parts["port"] or "5432"
    if not parts["host"]:
        given.fail("host", "Name the host, or give the address in one piece.")
    if not parts["dbname"]:
        given.fail("database", "Name the database.")
    parts["password"] = _password(given, parts, before, kept)
    for problem in () if given.errors else taken_apart(put_together({**before, **parts})).problems:
        given.fail(next((name for sign, name in SIGNS if sign in problem), "host"), problem)
    if not given.errors:
        url = put_together({**before, **parts})
        given.url = stored if taken_apart(url).parts == taken_apart(stored).parts else url


def _resolved(whole: str) -> str:
    """An address that was kept, be it by name."""
    try:
        return secret(whole).text if is_reference(whole) else whole
    except SecretRefused:
        return ""


def _password(given: Given, parts: dict[str, str], before: dict[str, str], kept: Mapping[str, str]) -> str:
    """What was typed, now or on the last try; else the one until now, which goes to no other place than before."""
    name = f"{given.side}_password"
    typed = parts["password"] or kept.get(name, "")
    if typed:
        given.typed = {name: typed}
    if f"{given.side}_url" in kept:
        given.typed[f"{given.side}_url"] = kept[f"{given.side}_url"]
    if is_reference(typed):
        try:
            return password_for(typed, parts["host"])
        except SecretRefused as refused:
            given.fail("password", str(refused))
            return ""
    if typed or not before.get("password"):
        return typed
    if any(parts[key] != before.get(key, "") for key in SAME_PLACE):
        given.fail(
            "password", "Host, port or user is another one: type the password again. It is sent nowhere else."
        )
    return before["password"]
