"""A person asks for a mapping in the next environment: those who may start it there are told."""

from __future__ import annotations

from jobs.actions import refusals
from jobs.actions.promotion import Wanted, lacking, proofs_of
from jobs.history.origin import current
from jobs.history.record import About, record
from jobs.notices import outbox
from jobs.transitions import User
from mappings.models import Environment, Mapping
from mappings.problems import Problem, Refused
from mappings.store import revision_spec

LONGEST = 500


@refusals.kept("ask for promotion")
def ask_for_promotion(mapping: Mapping, environment: Environment, actor: User, comment: str = "") -> int:
    """How many receivers are told. Refused where the environment before has not proved the mapping's last revision."""
    revision, before = mapping.latest_revision, environment.after
    if revision is None:
        raise Refused([Problem("", f"{mapping} has no revision yet: it is still a draft")])
    if before is None:
        raise Refused(
            [Problem("", f"{environment} comes after no other environment: nobody has to be asked")]
        )
    tables = frozenset(table.name for table in revision_spec(revision).tables)
    wanted = Wanted(mapping.name, revision.number, revision.sha256, tables)
    if text := lacking(wanted, before, proofs_of(mapping.name, before)):
        raise Refused([Problem("", text)])
    who = actor.get_username() if actor else current().who
    about = About(mapping.name, revision.number, revision.sha256, environment.name)
    told = outbox.of_request(about, who, comment.strip()[:LONGEST])
    record("mapping", "asked for", comment.strip() or f"Asked for in {environment}.", about, actor=actor)
    return told
