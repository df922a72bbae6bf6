"""What to do with an export, in the words that the command prints and the export carries."""

from __future__ import annotations

from jobs.exporting.scripts import slug
from mappings.plan.model import Plan

AFTERWARDS = (
    "Part of it, or all: `run start` finds by the ledger and the map what was moved by hand, brings the rest, and"
    " compares everything."
)


def instructions(plan: Plan, format_: str) -> str:
    """Plain text, each step on a line."""
    lines = [
        f"Mapping {plan.mapping}, revision {plan.revision} ({plan.sha256}), for {plan.environment}.",
        "",
        *WAYS[format_, plan.same_database],
        "",
        "Each file may be executed again: what is done already is not repeated. " + AFTERWARDS,
    ]
    return "\n".join(lines).format(label=f"migrated_{slug(plan.mapping)}") + "\n"


RUN_PSQL = 'for f in *.sql; do psql "$TARGET" -f "$f" || break; done'
UNDO_PSQL = 'for f in undo/*.sql; do psql "$TARGET" -f "$f" || break; done'
BOTH = (
    'case "$f" in *.source.sql) to="$SOURCE";; *) to="$TARGET";; esac;'  # by the name
    ' psql "$to" -f "$f" || break;'
)
FILES = "Run all of it from one directory: rows go through files (*.copy) in the present one."
BEFORE = f"for f in by_psql/1_before/*.sql; do {BOTH} done"
AFTER = f"for f in by_psql/2_after/*.sql; do {BOTH} done"
UNDO_FIRST = f"for f in by_psql/3_before_undo/*.sql; do {BOTH} done"
FLYWAY = (
    "1. Put the V and undo/U files into a location of Flyway, whose url is the target's, with"
    " -postgresql.transactional.lock=false.",
    "2. flyway migrate      (back: flyway undo, once for each version; every V has its U)",
)
DJANGO = (
    "1. Put this folder on the Python path under a name that Python can import, and add that name to INSTALLED_APPS;"
    " the database is the target.",
    "2. python manage.py migrate {label}      (back: python manage.py migrate {label} zero)",
)

WAYS = {
    ("psql", True): (
        "1. Run the files of this folder in the order of their names, not in one transaction:",
        f"   {RUN_PSQL}",
        "2. To take it back, run those of undo/ in the order of their names:",
        f"   {UNDO_PSQL}",
    ),
    ("psql", False): (
        "1. Run the files of this folder in the order of their names, each in the database that its name and header"
        " say.",
        f"   {FILES}",
        f"   for f in *.sql; do {BOTH} done",
        "2. To take it back, run those of undo/ in the order of their names:",
        f"   for f in undo/*.sql; do {BOTH} done",
    ),
    ("flyway", True): FLYWAY,
    ("flyway", False): (
        "Flyway knows one database, the target; what crosses from the source goes by psql:",
        f"   {BEFORE}",
        *FLYWAY,
        f"   and then: {AFTER}",
        f"   before an undo, if there is such a folder: {UNDO_FIRST}",
        f"   {FILES}",
    ),
    ("django", True): DJANGO,
    ("django", False): (
        "Django's migrations run in the target; what crosses from the source goes by psql:",
        f"   {BEFORE}",
        *DJANGO,
        f"   and then: {AFTER}",
        f"   before migrating back, if there is such a folder: {UNDO_FIRST}",
        f"   {FILES}",
    ),
}
