"""The statuses of a run and the allowed moves, each written once with its reason."""

from __future__ import annotations

from typing import Final

QUEUED: Final = "queued"
PREPARING: Final = "preparing"
COPYING: Final = "copying"
VERIFYING: Final = "verifying"
VERIFIED: Final = "verified"
MISMATCH: Final = "mismatch"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
PAUSING: Final = "pausing"
PAUSED: Final = "paused"
ROLLING_BACK: Final = "rolling_back"
ROLLED_BACK: Final = "rolled_back"

STATUSES: Final = (
    QUEUED,
    PREPARING,
    COPYING,
    VERIFYING,
    VERIFIED,
    MISMATCH,
    FAILED,
    CANCELLED,
    PAUSING,
    PAUSED,
    ROLLING_BACK,
    ROLLED_BACK,
)

WORKING: Final = frozenset({PREPARING, COPYING, VERIFYING, ROLLING_BACK})
"""A worker should be busy with a run in one of these."""

RINGING: Final = WORKING | {QUEUED, PAUSING}
"""The sweeper rings for a run in one of these."""

ACTIVE: Final = RINGING | {PAUSED}
"""Only one run of a mapping in an environment may be in one of these."""

FINISHED: Final = frozenset(STATUSES) - ACTIVE

MOVES: Final[dict[tuple[str, str], str]] = {
    (QUEUED, PREPARING): "A worker took the run up.",
    (PREPARING, COPYING): "The target is prepared.",
    (COPYING, VERIFYING): "Every chunk is copied and linked.",
    (VERIFYING, VERIFIED): "Verification found no difference.",
    (VERIFYING, MISMATCH): "Verification found a difference.",
    (VERIFYING, COPYING): "Rows came too late for their chunk and are copied now.",
    (ROLLING_BACK, ROLLED_BACK): "Every row of the run is undone.",
    (QUEUED, PAUSING): "An operator asked for a pause.",
    (PREPARING, PAUSING): "An operator asked for a pause.",
    (COPYING, PAUSING): "An operator asked for a pause.",
    (VERIFYING, PAUSING): "An operator asked for a pause.",
    (ROLLING_BACK, PAUSING): "An operator asked for a pause.",
    (PAUSING, PAUSED): "The last chunk under way has ended.",
    (QUEUED, PAUSED): "The server ran out of room or of connections.",
    (PREPARING, PAUSED): "The server ran out of room or of connections.",
    (COPYING, PAUSED): "The server ran out of room or of connections.",
    (VERIFYING, PAUSED): "The server ran out of room or of connections.",
    (ROLLING_BACK, PAUSED): "The server ran out of room or of connections.",
    (PAUSED, PREPARING): "An operator resumed the run.",
    (PAUSED, COPYING): "An operator resumed the run.",
    (PAUSED, VERIFYING): "An operator resumed the run.",
    (QUEUED, FAILED): "The run could not be started.",
    (PREPARING, FAILED): "A schema step failed.",
    (COPYING, FAILED): "A row or a chunk could not be copied.",
    (VERIFYING, FAILED): "Verification could not be finished.",
    (ROLLING_BACK, FAILED): "The rollback could not be finished.",
    (FAILED, PREPARING): "An operator retried the run.",
    (FAILED, COPYING): "An operator retried the run.",
    (FAILED, VERIFYING): "An operator retried the run.",
    (MISMATCH, COPYING): "An operator retried the run, or asked for a repair.",
    (VERIFIED, COPYING): "An operator retried the run: what was set aside is copied.",
    (VERIFIED, VERIFYING): "An operator asked for verification.",
    (MISMATCH, VERIFYING): "An operator asked for verification.",
    (QUEUED, CANCELLED): "An operator cancelled the run.",
    (PREPARING, CANCELLED): "An operator cancelled the run.",
    (COPYING, CANCELLED): "An operator cancelled the run.",
    (VERIFYING, CANCELLED): "An operator cancelled the run.",
    (PAUSING, CANCELLED): "An operator cancelled the run.",
    (PAUSED, CANCELLED): "An operator cancelled the run.",
    (VERIFIED, ROLLING_BACK): "An operator rolled the run back.",
    (MISMATCH, ROLLING_BACK): "An operator rolled the run back.",
    (FAILED, ROLLING_BACK): "An operator rolled the run back, or tried that again.",
    (CANCELLED, ROLLING_BACK): "An operator rolled the run back.",
    (PAUSED, ROLLING_BACK): "An operator rolled the run back, or resumed that.",
}

STAGE_STATUS: Final = {
    "prepare": PREPARING,
    "copy": COPYING,
    "verify": VERIFYING,
    "undo": ROLLING_BACK,
}
"""The stage that a paused or failed run goes on with, and its status."""


def reason(source: str, target: str) -> str:
    """Why a run may move from `source` to `target`; KeyError if it may not."""
    return MOVES[source, target]


def sources(target: str) -> tuple[str, ...]:
    """The statuses from which a run may move to `target`."""
    return tuple(old for old, new in MOVES if new == target)
