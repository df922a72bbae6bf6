"""How the product reaches a source or a target: one rule for addresses, one way to connect.

An address is taken apart here and handed to libpq piece by piece, never as a URL: what was checked is
what is used, and neither a second host nor an option nor the server's own environment can slip in.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

import psycopg
from psycopg import pq

from mappings.problems import Problem, Refused

log = logging.getLogger(__name__)

PARAMETERS = (
    "sslmode", "sslrootcert", "sslcert", "sslkey",
    "connect_timeout", "application_name", "target_session_attrs",
)  # fmt: skip
CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
}
CONNECT_TIMEOUT_S = 5
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

UnreachableKind = Literal["unanswered", "refused", "missing", "busy", "starting"]

SENTENCES: dict[UnreachableKind, str] = {
    "unanswered": (
        "The database does not answer. Check host, port and TLS mode, "
        "and that it accepts connections from here."
    ),
    "refused": "The database refuses the user or the password.",
    "missing": "The database server has no database of that name.",
    "busy": "The database has no free connection left. Wait for others to leave, or raise max_connections.",
    "starting": "The database is starting, stopping or recovering. Try again in a moment.",
}
# The server says these before a connection exists, so there is no SQLSTATE to go by.
SIGNS: tuple[tuple[str, UnreachableKind], ...] = (
    ("too many clients already", "busy"),
    ("remaining connection slots", "busy"),
    ("too many connections for", "busy"),
    ("is starting up", "starting"),
    ("is shutting down", "starting"),
    ("is in recovery mode", "starting"),
    ("is not yet accepting connections", "starting"),
    ("authentication failed", "refused"),
    ("no password supplied", "refused"),
    ("no pg_hba.conf entry", "refused"),
    ("is not permitted to log in", "refused"),
    ("permission denied for database", "refused"),
)


class DatabaseUnreachable(Exception):
    """No session could be opened; the text says which kind of reason, and nothing about the address."""

    def __init__(self, kind: UnreachableKind) -> None:
        self.kind = kind
        super().__init__(SENTENCES[kind])


@dataclass(frozen=True, slots=True)
class _Address:
    """An address taken apart; `problems` are sentences that repeat nothing of it."""

    parts: dict[str, str]
    problems: tuple[str, ...]


def check_url(url: str) -> list[str]:
    """What is wrong with an address, [] if nothing. The one rule for forms, commands and connections."""
    return list(_taken_apart(url).problems)


def connect(
    url: str,
    *,
    purpose: str,
    read_only: bool = False,
    autocommit: bool = True,
    statement_timeout_ms: int | None = None,
    lock_timeout_ms: int = 2000,
) -> psycopg.Connection[Any]:
    """An open session with the fixed settings; Refused for a bad address, DatabaseUnreachable otherwise."""
    address = _taken_apart(url)
    if address.problems:
        raise Refused([Problem("", problem) for problem in address.problems])
    try:
        connection = psycopg.connect(**_connect_arguments(address.parts, purpose), autocommit=True)
    except psycopg.Error as error:
        log.warning("connecting for %s failed: %s", purpose, error)  # the log may know the address, pages not
        raise DatabaseUnreachable(_kind(str(error))) from error
    try:
        _settle(connection, read_only, statement_timeout_ms, lock_timeout_ms)
        connection.autocommit = autocommit
    except psycopg.Error as error:
        connection.close()
        raise DatabaseUnreachable("unanswered") from error
    return connection


def identity(connection: psycopg.Connection[Any]) -> str:
    """Which database this is, stable over restarts: cluster, oid and name; without the right to ask for the
    cluster, the server's address and port instead. To tell whether two sessions meet, use same_database."""
    row = connection.execute(
        "SELECT has_function_privilege('pg_catalog.pg_control_system()', 'execute'), d.oid::text, d.datname,"
        " coalesce(host(inet_server_addr()), 'local'), coalesce(inet_server_port(), 0)"
        " FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()"
    ).fetchone()
    assert row is not None
    allowed, oid, name, host, port = row
    if not allowed:
        return f"{host}:{port}/{oid}/{name}"
    found = connection.execute(
        "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
    ).fetchone()
    assert found is not None
    return f"{found[0]}/{oid}/{name}"


def same_database(one: psycopg.Connection[Any], other: psycopg.Connection[Any]) -> bool:
    """Whether two open sessions are in the same database of the same server, whatever their addresses.

    A restored copy of a server keeps its system identifier; the start time of the running server tells
    the copy from the original, and two routes to one server from two servers.
    """
    question = (
        "SELECT pg_catalog.pg_postmaster_start_time()::text, d.oid::text, d.datname"
        " FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()"
    )
    return one.execute(question).fetchone() == other.execute(question).fetchone()


def _connect_arguments(parts: dict[str, str], purpose: str) -> dict[str, Any]:
    """Everything libpq would otherwise take from its environment or from files is given here."""
    return {
        "password": "",
        **parts,
        "application_name": f"migrator {purpose}"[:63],
        "connect_timeout": parts.get("connect_timeout", str(CONNECT_TIMEOUT_S)),
        "hostaddr": "",
        "options": "",
        "passfile": os.path.join(os.devnull, "none"),
        "client_encoding": "UTF8",
        "keepalives": "1",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": "60000",
    }


def _settle(
    connection: psycopg.Connection[Any],
    read_only: bool,
    statement_timeout_ms: int | None,
    lock_timeout_ms: int,
) -> None:
    """Fixes what a role's or a database's own settings could change about values and waiting."""
    settings = {
        "timezone": "UTC",
        "datestyle": "ISO, mdy",
        "intervalstyle": "postgres",
        "extra_float_digits": "1",
        "bytea_output": "hex",
        "lc_monetary": "C",
        "standard_conforming_strings": "on",
        "client_encoding": "UTF8",
        "lock_timeout": f"{lock_timeout_ms}ms",
        "statement_timeout": f"{statement_timeout_ms or 0}ms",
        "idle_in_transaction_session_timeout": "10min",
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "on" if read_only else "off",
    }
    connection.execute(
        "SELECT pg_catalog.set_config(name, value, false)"
        " FROM unnest(%s::text[], %s::text[]) AS s(name, value)",
        [list(settings), list(settings.values())],
    )
    try:  # only some platforms can notice that the client is gone while a statement runs
        connection.execute("SET client_connection_check_interval = '5s'")
    except psycopg.Error:
        if connection.pgconn.status != pq.ConnStatus.OK:
            raise


def _kind(text: str) -> UnreachableKind:
    """What stood in the way, by what the server said; other servers' words all mean `unanswered`."""
    if "FATAL:" not in text:
        return "refused" if "no password supplied" in text else "unanswered"
    if re.search(r'FATAL:  database ".*" does not exist', text):
        return "missing"
    if re.search(r'FATAL:  role ".*" does not exist', text):
        return "refused"
    return next((kind for sign, kind in SIGNS if sign in text), "unanswered")


def _taken_apart(url: str) -> _Address:
    """The parts of an address by libpq's names, as far as they are good."""
    shape = SHAPE.fullmatch(url) if url.isascii() and url.isprintable() and " " not in url else None
    if shape is None:
        return _Address({}, (SHAPE_PROBLEM,))
    user, place, database, query = (part or "" for part in shape.groups())
    problems: list[str] = []
    parts = _user_parts(user, problems)
    parts.update(_place_parts(place, problems))
    if name := _decoded(database, "database name", problems):
        parts["dbname"] = name
    elif not database:
        problems.append("The address must name a database after the host: …/database.")
    parts.update(_parameters(query, problems))
    return _Address(parts, tuple(problems))


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
