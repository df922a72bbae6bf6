"""Servers for the tests: started before Django reads its settings, ended with the test run however it ends.

Loaded by `-p tests.servers`: an ordinary session fixture would run after the settings were read.
Selecting only tests/unit starts none. With `-n` each of the processes that run tests has servers of its own,
and the one that hands the tests out has none.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from migrator_site.embedded import Postgres, Valkey

SERVERS = pytest.StashKey[tuple[Postgres, Valkey]]()
_HOME = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> None:
    options = parser.parse_known_args(args)
    home = Path(tempfile.mkdtemp(prefix="migrator-tests-"))
    early_config.stash[_HOME] = home
    (home / "static").mkdir()  # whitenoise warns where it is missing
    os.environ.update(MIGRATOR_HOME=str(home), DEMO="0")
    for name in (
        "DATABASE_URL",
        "REDIS_URL",
        "DEBUG",
        "HTTPS",
        "ALLOWED_HOSTS",
        "SECRET_KEY",
        "CREDENTIALS_KEY",
    ):
        os.environ.pop(name, None)
    if options.help or options.version or only_units(options.markexpr, options.file_or_dir):
        return
    if options.numprocesses and "PYTEST_XDIST_WORKER" not in os.environ:
        return
    postgres, valkey = Postgres(home, fast=True), Valkey(home, fast=True)
    early_config.stash[SERVERS] = postgres, valkey
    postgres.start()
    valkey.start()
    os.environ.update(DATABASE_URL=postgres.url("postgres"), REDIS_URL=valkey.url)


def only_units(expression: str, selected: list[str]) -> bool:
    """Whether nothing but tests/unit is asked for."""
    units = Path(__file__).parent / "unit"
    paths = [Path(argument.split("::")[0]).absolute() for argument in selected]
    return expression == "unit" or (bool(paths) and all(path.is_relative_to(units) for path in paths))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    for server in config.stash.get(SERVERS, ()):
        server.stop("immediate")
    if home := config.stash.get(_HOME, None):
        for pointer in home.glob("*.elsewhere"):
            shutil.rmtree(pointer.read_text().strip(), ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)
