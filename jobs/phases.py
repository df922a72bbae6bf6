"""The phases in which a table of a run is worked on: in which stage each is, what it waits for, what it walks over.

A phase is cut into chunks; the ledger in the target and the control database keep these names. A stage of the run
ends when no table has anything left to do in its present phase, and then the tables enter the next one that they
need (running/verify.py, running/rollback/).
"""

from __future__ import annotations

from typing import Final

ASSIGN: Final = "assign"
COPY: Final = "copy"
LINK: Final = "link"
PRUNE: Final = "prune"
REPAIR: Final = "repair"
VERIFY: Final = "verify"
UNLINK: Final = "unlink"
UNDO: Final = "undo"

OF_STAGE: Final = {
    "prepare": (ASSIGN, COPY),
    "copy": (ASSIGN, COPY, LINK, PRUNE, REPAIR),
    "verify": (VERIFY,),
    "undo": (UNLINK, UNDO),
}
"""For each stage of a run the phases that are its work, in the order in which tables go through those they need."""

BACKWARD: Final = OF_STAGE["undo"]
"""Phases that take back. They walk over the run's own rows in the target, all others over the source's keys."""

FORWARD: Final = (*OF_STAGE["copy"], *OF_STAGE["verify"])


def may_follow(phase: str, following: str) -> bool:
    """Whether a table that was in a phase may enter another: a later one, the copy once more, a new comparison.

    What is being taken back goes on to be taken back.
    """
    if phase in BACKWARD:
        return following in BACKWARD[BACKWARD.index(phase) :]
    if following in (COPY, VERIFY, *BACKWARD):
        return True
    return FORWARD.index(following) > FORWARD.index(phase)


PARENTS_FIRST: Final = (ASSIGN, COPY)
"""Phases that a table waits in while one that it points to is not through with its own."""

CHILDREN_FIRST: Final = (UNDO,)
"""The same the other way round: rows that others point to cannot be deleted yet."""

IN_ORDER: Final = (*PARENTS_FIRST, *CHILDREN_FIRST)

AFTER_ALL: Final = {UNDO: UNLINK}
"""A phase that no table begins while any table is in that other one."""

THEN: Final = {ASSIGN: COPY}
"""Phases that a table leaves for another one as soon as it is through, whatever the other tables are at."""

INDIVISIBLE: Final = (ASSIGN, PRUNE)
"""Phases of one chunk, which cannot be cut in two."""

DOING: Final = {
    ASSIGN: "assigning",
    COPY: "copying",
    LINK: "linking",
    PRUNE: "setting aside",
    REPAIR: "repairing",
    VERIFY: "verifying",
    UNLINK: "undoing",
    UNDO: "undoing",
}
"""What a table in a phase is said to be doing."""
