"""An export as a folder and as a zip: what is refused and replaced; the same plan makes the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client

from tests import factories
from tests.conftest import Databases
from tests.export.twins import Twin

FORMATS = ["psql", "flyway", "django"]


@pytest.fixture(params=["one", "two"])
def twin(request: pytest.FixtureRequest, databases: Databases) -> Twin:
    return Twin(databases, request.param, "hand").filled()


def export(folder: Path, format_: str = "psql") -> None:
    call_command(
        "mapping", "export", "feature", "--env", "hand", "--format", format_, "--output", str(folder)
    )


def refused(capfd: pytest.CaptureFixture[str], folder: Path) -> str:
    """What the command says on stderr while it refuses."""
    with pytest.raises(SystemExit) as ended:
        export(folder)
    assert ended.value.code == 2
    return capfd.readouterr().err


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_plan_makes_the_same_bytes_and_hashes_them(
    twin: Twin, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for format_ in FORMATS:
        first, second = tmp_path / f"{format_}_1", tmp_path / f"{format_}_2"
        export(first, format_)
        export(second, format_)
        assert content(first) == content(second)
        manifest = json.loads((first / "manifest.json").read_text())
        assert manifest["format"] == format_ and manifest["sha256"] == twin.plan().sha256
        hashes = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
        found = {path: hashlib.sha256(data).hexdigest() for path, data in content(first).items()}
        assert hashes == {path: digest for path, digest in found.items() if path != "manifest.json"}
        sides = {entry.get("runs_in") for entry in manifest["files"]} - {None}
        assert sides == ({"target"} if twin.one else {"source", "target"})
    assert "in the order of their names" in capfd.readouterr().out


def test_each_script_says_what_it_is(twin: Twin, tmp_path: Path) -> None:
    export(tmp_path / "out")
    sha256 = twin.plan().sha256
    for path in (tmp_path / "out").rglob("*.sql"):
        head = path.read_text().split("\n\n")[0]
        assert f"Mapping feature, revision 1, sha256 {sha256}, environment hand" in head
        assert (
            f"the {'source' if '.source.' in path.name else 'one' if twin.one else 'target'} database" in head
        )
        assert (
            "\\set ON_ERROR_STOP on" in path.read_text() and "set_config('lock_timeout'" in path.read_text()
        )


@pytest.mark.parametrize("twin", ["one"], indirect=True)
def test_only_an_earlier_export_is_replaced(
    twin: Twin, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    export(folder, "flyway")
    (folder / "customer.copy").write_text("rows")
    export(folder)
    assert not list(folder.glob("V*")) and (folder / "customer.copy").exists()
    other = tmp_path / "other"
    other.mkdir()
    export(other)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "manifest.json").write_text('{"made_by": "me"}')
    assert "is not empty and holds no earlier export" in refused(capfd, mine)
    assert content(mine) == {"manifest.json": b'{"made_by": "me"}'}
    assert "cannot be written" in refused(capfd, tmp_path / "mine/manifest.json/out")


@pytest.mark.parametrize("twin", ["one"], indirect=True)
def test_a_blocked_plan_is_refused(twin: Twin, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    twin.target("CREATE MATERIALIZED VIEW new.names AS SELECT full_name FROM new.client")
    assert "new.names depends on it" in refused(capfd, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("twin", ["one"], indirect=True)
def test_the_review_page_offers_it_as_a_zip(twin: Twin, tmp_path: Path, client: Client) -> None:
    address = "/mappings/feature/export/"
    assert client.get(address, {"env": "hand", "format": "psql"}).status_code == 302
    client.force_login(factories.make_user())
    assert "Export for psql" in client.get("/mappings/feature/review/", {"env": "hand"}).content.decode()
    for format_ in FORMATS:
        response = client.get(address, {"env": "hand", "format": format_})
        assert f'filename="feature-hand-{format_}.zip"' in response["Content-Disposition"]
        export(tmp_path / format_, format_)
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            assert {name: archive.read(name) for name in archive.namelist()} == content(tmp_path / format_)
    assert client.get(address, {"env": "hand", "format": "oracle"}).status_code == 404
    twin.target("CREATE MATERIALIZED VIEW new.names AS SELECT full_name FROM new.client")
    assert (
        client.get(address, {"env": "hand", "format": "psql"})
        .headers["Location"]
        .startswith("/mappings/feature/review")
    )


@pytest.mark.parametrize("twin", ["one"], indirect=True)
def test_the_review_page_offers_the_plan_as_the_command_prints_it(
    twin: Twin, client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    address = "/mappings/feature/plan/"
    assert client.get(address, {"env": "hand", "format": "json"}).status_code == 302
    client.force_login(factories.make_user())
    for format_ in ("json", "sql"):
        response = client.get(address, {"env": "hand", "format": format_})
        assert response["Content-Disposition"] == f'attachment; filename="feature-hand-plan.{format_}"'
        call_command("mapping", "plan", "feature", "--env", "hand", "--format", format_)
        assert response.content.decode() == capfd.readouterr().out
    assert client.get(address, {"env": "hand", "format": "oracle"}).status_code == 404
    twin.target("CREATE MATERIALIZED VIEW new.names AS SELECT full_name FROM new.client")
    page = client.get("/mappings/feature/review/", {"env": "hand"}).content.decode()
    assert "Plan as JSON" in page and "Export for psql" not in page
