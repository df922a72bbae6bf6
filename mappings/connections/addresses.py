"""The one rule for the addresses of databases.

An address is taken apart here and handed to libpq piece by piece, never as a URL: what was checked is
what is used, and neither a second host nor an option can slip in.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

PARAMETERS = (
    "sslmode", "sslrootcert", "sslcert", "sslkey",
    "connect_timeout", "application_name", "target_session_attrs",
)  # fmt: skip
CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
LONGEST_CONNECT_TIMEOUT_S = 60

SHAPE = re.compile(r"(?:postgresql|postgres)://(?:([^/?#@]*)@)?([^/?#@]*)/([^/?#@]*)(?:\?([^?#]*))?")
LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
# A last label of this shape makes resolvers read the whole host as a number: 0x7f.1, 127.0.0.0x1
NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
PORT = re.compile(r"[1-9][0-9]{0,4}")

SHAPE_PROBLEM = (
    "The address must have the form postgresql://user:password@host:port/database; "
    "write @ : / ? # % inside the password as %40 %3A %2F %3F %23 %25."
)
HOST_PROBLEM = (
    "The host must be one host name, or one IPv4 or IPv6 address in its usual spelling ([::1] for IPv6); "
    "lists of hosts, socket paths and numbers are not allowed."
)


@dataclass(frozen=True, slots=True)
class Address:
    """An address taken apart; `problems` are sentences that repeat nothing of it."""

    parts: dict[str, str]
    problems: tuple[str, ...]


def check_url(url: str) -> list[str]:
    """What is wrong with an address, [] if nothing. The one rule for forms, commands and connections."""
    return list(taken_apart(url).problems)


def taken_apart(url: str) -> Address:
    """The parts of an address by libpq's names, as far as they are good."""
    shape = SHAPE.fullmatch(url) if url.isascii() and url.isprintable() and " " not in url else None
    if shape is None:
        return Address({}, (SHAPE_PROBLEM,))
    user, place, database, query = (part or "" for part in shape.groups())
    problems: list[str] = []
    parts = _user_parts(user, problems)
    parts.update(_place_parts(place, problems))
    if name := _decoded(database, "database name", problems):
        parts["dbname"] = name
    elif not database:
        problems.append("The address must name a database after the host: …/database.")
    parts.update(_parameters(query, problems))
    return Address(parts, tuple(problems))


def _decoded(text: str, what: str, problems: list[str]) -> str:
    """Percent-encoding undone; '' and a problem where that gives no text."""
    try:
        if re.search(r"%(?![0-9A-Fa-f]{2})", text):
            raise ValueError
        decoded = unquote_to_bytes(text).decode()
        if not decoded.isprintable():
            raise ValueError
    except ValueError:
        problems.append(f"The {what} is not properly percent-encoded UTF-8 text.")
        return ""
    return decoded


def _user_parts(text: str, problems: list[str]) -> dict[str, str]:
    user, colon, password = text.partition(":")
    if ":" in password:
        problems.append(SHAPE_PROBLEM)
    parts = {"user": _decoded(user, "user", problems)} if user else {}
    if colon and password:
        parts["password"] = _decoded(password, "password", problems)
    return parts


def _place_parts(place: str, problems: list[str]) -> dict[str, str]:
    """Host and port of `host`, `host:port`, `[ipv6]` or `[ipv6]:port`."""
    split = re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([^:]*))?", place)
    host, port = (split[1], split[2]) if split else ("", None)
    if not _is_host(host):
        problems.append(HOST_PROBLEM)
    if port is not None and not (PORT.fullmatch(port) and int(port) <= 65535):
        problems.append("The port must be a number from 1 to 65535.")
    return {"host": host.strip("[]"), "port": port or "5432"}


def _is_host(host: str) -> bool:
    """One name with a letter in it, or one address as it is printed; nothing a resolver could reread."""
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1])) == host[1:-1].lower() and "%" not in host
        except ValueError:
            return False
    labels = host.removesuffix(".").split(".")
    if NUMERIC_LABEL.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host)) == host
        except ValueError:
            return False
    has_letter = any(character.isalpha() for character in host)
    return has_letter and len(host) <= 253 and all(LABEL.fullmatch(label) for label in labels)


def _parameters(query: str, problems: list[str]) -> dict[str, str]:
    """The allowed parameters; application_name is accepted, but sessions carry the product's own name."""
    parts: dict[str, str] = {}
    for pair in query.split("&") if query else []:
        name, _, value = pair.partition("=")
        if name not in PARAMETERS:
            problems.append(
                f"The address has a parameter that is not allowed; allowed are {', '.join(PARAMETERS)}."
            )
        elif name in parts:
            problems.append(f"The parameter {name} is given twice.")
        else:
            parts[name] = _decoded(value, f"parameter {name}", problems)
            problems.extend(_parameter_problems(name, parts[name]))
    return parts


def _parameter_problems(name: str, value: str) -> list[str]:
    if name in CHOICES and value not in CHOICES[name]:
        return [f"The parameter {name} must be one of {', '.join(CHOICES[name])}."]
    if name == "connect_timeout":
        is_number = re.fullmatch(r"[1-9][0-9]?", value) is not None
        if not is_number or int(value) > LONGEST_CONNECT_TIMEOUT_S:
            return [f"The parameter connect_timeout must be 1 to {LONGEST_CONNECT_TIMEOUT_S} seconds."]
    return [] if value else [f"The parameter {name} is empty."]


def put_together(parts: Mapping[str, str]) -> str:
    """The address of these parts, by libpq's names; what is empty is left out. taken_apart gives them back."""
    user, password = (quote(parts.get(name, ""), safe="") for name in ("user", "password"))
    host, port = parts.get("host", ""), parts.get("port", "")
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    who = f"{user}:{password}@" if password else f"{user}@" if user else ""
    given = [(name, value) for name in PARAMETERS if (value := parts.get(name))]
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in given)
    database = quote(parts.get("dbname", ""), safe="")
    return f"postgresql://{who}{place}/{database}" + (f"?{query}" if query else "")
