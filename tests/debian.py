"""Debian's PostgreSQL 15 for tests: it has ICU, citext, hstore, ltree, postgres_fdw, TLS; the embedded ones do not."""

from __future__ import annotations

from pathlib import Path

from migrator_site.embedded import Postgres

BINARIES = Path("/usr/lib/postgresql/15/bin")
MISSING = f"needs Debian's PostgreSQL 15 and its extensions (apt-get install postgresql-15): no {BINARIES}"


class Debian(Postgres):
    """The server of Debian 12's package; in everything else like the embedded ones."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, version=15, fast=True)

    def find_binaries(self) -> Path:
        return BINARIES


def installed() -> bool:
    """Whether the package is there; where it is not, tests that need it are skipped."""
    return (BINARIES / "postgres").exists()
