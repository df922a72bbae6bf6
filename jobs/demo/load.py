"""Creates and loads the two demo databases, once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from mappings.sql import Sql, compose, encoded, printed, verbatim

HERE = Path(__file__).parent
MAPPING = HERE / "mapping.yml"
SOURCE = verbatim("demo_legacy")
TARGET = verbatim("demo_crm")
_LOCK = 5_417_201  # any number, the same for all who load: two at once take turns


def load_demo(admin_url: str) -> tuple[str, str]:
    """The URLs of the demo's source and target, built first where missing: same server, same user.

    admin_url: postgresql://… of a role that may create databases. A database that is there is left as it is,
    migrated or not; what a killed load left behind is built anew.
    """
    with closing(_connect(admin_url)) as admin:
        if not {SOURCE, TARGET} <= _names(admin):
            admin.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            for name, script in ((SOURCE, "legacy.sql"), (TARGET, "target.sql")):
                if name not in _names(admin):
                    _build(admin, admin_url, name, HERE / script)
    return _url(admin_url, SOURCE), _url(admin_url, TARGET)


def _build(admin: psycopg.Connection, admin_url: str, name: Sql, script: Path) -> None:
    """Loads under another name and renames at the end, so that a database of the right name is whole."""
    unfinished = compose("{}_unfinished", name)
    admin.execute(encoded(compose("DROP DATABASE IF EXISTS {} WITH (FORCE)", unfinished)))
    admin.execute(encoded(compose("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", unfinished)))
    with closing(_connect(_url(admin_url, unfinished))) as connection:
        connection.execute(encoded(printed(script.read_text())))
    admin.execute(encoded(compose("ALTER DATABASE {} RENAME TO {}", unfinished, name)))


def _names(admin: psycopg.Connection) -> set[str]:
    return {name for (name,) in admin.execute("SELECT datname FROM pg_database")}


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(
        url, autocommit=True, client_encoding="utf8", connect_timeout=10, options="-c statement_timeout=120s"
    )


def _url(url: str, database: str) -> str:
    """The same URL for another database; everything else in it stays."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{database}" + (f"?{parts.query}" if parts.query else "")
