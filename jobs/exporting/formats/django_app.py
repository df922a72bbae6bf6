"""A small Django app whose migrations are the scripts: RunSQL with its reverse, outside a transaction where needed."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.exporting.formats.flyway import by_psql, surrounded
from jobs.exporting.formats.headers import header
from jobs.exporting.scripts import Script, slug
from mappings.plan.model import Plan

APPS = '''"""The migrations of the mapping {mapping}, revision {revision}, as an app of its own."""

from django.apps import AppConfig


class ExportedConfig(AppConfig):
    name = __name__.rpartition(".")[0]
    label = "{label}"
'''

MIGRATION = """{header}
from django.db import migrations


class Migration(migrations.Migration):
    atomic = {atomic}
    dependencies = {dependencies}
    operations = [
        migrations.RunSQL(
            sql={forward},
            reverse_sql={backward},
        ),
    ]
"""


def files(plan: Plan, scripts: Sequence[Script]) -> dict[str, str]:
    """Path -> content. The folder is a package: it goes into INSTALLED_APPS under its own name."""
    label = f"migrated_{slug(plan.mapping)}"
    made = {
        "__init__.py": "",
        "apps.py": APPS.format(mapping=plan.mapping, revision=plan.revision, label=label),
        "migrations/__init__.py": "",
    }
    before = ""
    for script in (script for script in scripts if not script.client):
        name = f"{script.number:04d}_{script.slug}"
        made[f"migrations/{name}.py"] = migration(plan, script, [(label, before)] if before else [])
        before = name
    return made | by_psql(plan, scripts)


def migration(plan: Plan, script: Script, dependencies: list[tuple[str, str]]) -> str:
    """One migration as Python."""
    return MIGRATION.format(
        header=header(plan, script, "#"),
        atomic=not script.alone,
        dependencies=repr(dependencies).replace("'", '"'),
        forward=_listed(surrounded(script, script.forward)),
        backward=_listed(surrounded(script, script.backward))
        if script.backward
        else "migrations.RunSQL.noop",
    )


def _listed(statements: Sequence[str]) -> str:
    items = "".join(f"                {_constant(text)},\n" for text in statements)
    return f"[\n{items}            ]"


def _constant(text: str) -> str:
    """A Python constant that reads as SQL does wherever that is possible."""
    is_plain = "\\" not in text and '"""' not in text and not text.endswith('"') and "\r" not in text
    return f'"""{text}"""' if is_plain else repr(text)
