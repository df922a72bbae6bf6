"""An export as files: in a folder that holds nothing else, or as a zip; with a manifest of their hashes."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

from jobs.exporting.formats import django_app, flyway, psql
from jobs.exporting.formats.instructions import instructions
from jobs.exporting.scripts import Script, scripts
from mappings.plan.model import Plan
from mappings.problems import Problem, Refused

Format = Literal["psql", "flyway", "django"]
FORMATS: Final[dict[str, Callable[[Plan, Sequence[Script]], dict[str, str]]]] = {
    "psql": psql.files,
    "flyway": flyway.files,
    "django": django_app.files,
}
MANIFEST = "manifest.json"
READ_ME = "READ_ME.txt"
MADE_BY = "mapping export"
OLDEST = (1980, 1, 1, 0, 0, 0)
"""The time that a zip gives its files: the same plan makes the same bytes."""


def export(plan: Plan, format_: str) -> dict[str, bytes]:
    """Path -> content of every file, the manifest among them. Refused where the plan has blockers."""
    if plan.blockers:
        raise Refused(plan.blockers)
    made = {READ_ME: instructions(plan, format_), **FORMATS[format_](plan, scripts(plan))}
    files = {path: content.encode() for path, content in sorted(made.items())}
    return {**files, MANIFEST: manifest(plan, format_, files).encode()}


def manifest(plan: Plan, format_: str, files: dict[str, bytes]) -> str:
    """Which file of which plan this is, with its hash, as JSON."""
    listed = [
        {"path": path, "sha256": hashlib.sha256(content).hexdigest()} for path, content in files.items()
    ]
    for entry in listed:
        if side := _side(entry["path"]):
            entry["runs_in"] = side
    about = {
        "made_by": MADE_BY,
        "format": format_,
        "mapping": plan.mapping,
        "revision": plan.revision,
        "sha256": plan.sha256,
        "environment": plan.environment,
        "databases": 1 if plan.same_database else 2,
        "files": listed,
    }
    return json.dumps(about, indent=2, ensure_ascii=False) + "\n"


def _side(path: str) -> str:
    """The database that a script runs in, by its name."""
    name = path.rpartition("/")[2]
    if not name.endswith((".sql", ".py")) or name in ("__init__.py", "apps.py"):
        return ""
    return "source" if name.endswith(".source.sql") else "target"


def write(files: dict[str, bytes], folder: Path) -> None:
    """Writes the files. Refused where the folder holds anything but an earlier export, which is replaced."""
    try:
        _clear(folder)
        for path, content in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    except OSError as error:
        raise Refused(
            [Problem("", f"{error.filename or folder} cannot be written: {error.strerror}.")]
        ) from error


def _clear(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    earlier = _earlier(folder)
    if earlier is None:
        text = f"{folder} is not empty and holds no earlier export; name a new or an empty folder."
        raise Refused([Problem("", text)])
    for path in [*earlier, MANIFEST]:
        (folder / path).unlink(missing_ok=True)


def _earlier(folder: Path) -> list[str] | None:
    """The files of the export that is in a folder; None where there is none."""
    try:
        loaded = json.loads((folder / MANIFEST).read_text())
        if loaded["made_by"] != MADE_BY:
            return None
        paths = [str(entry["path"]) for entry in loaded["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    root = folder.resolve()
    return [path for path in paths if (root / path).resolve().is_relative_to(root)]


def zipped(files: dict[str, bytes]) -> bytes:
    """The files as a zip; the same files make the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            info = zipfile.ZipInfo(path, OLDEST)
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[path], zipfile.ZIP_DEFLATED)
    return out.getvalue()
