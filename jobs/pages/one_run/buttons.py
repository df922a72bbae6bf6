"""The buttons of a run's page: what an operator may do in each status."""

from __future__ import annotations

from dataclasses import dataclass

from jobs import states


@dataclass(frozen=True, slots=True)
class Button:
    """A button of a run's page. main: the likely next thing; confirm: it leads to a page that asks first.

    ask: what is said beside the button that it opens, before anything is done.
    """

    action: str
    label: str
    main: bool = False
    confirm: bool = False
    ask: str = ""


PAUSE = Button("pause", "Pause")
CANCEL = Button(
    "cancel", "Cancel…", ask="It cannot be resumed after that. What was copied stays until you roll it back."
)
RESUME = Button("resume", "Resume", main=True)
RETRY = Button("retry", "Retry", main=True)
RETRY_ASIDE = Button("retry", "Retry quarantined rows")
REPAIR = Button(
    "repair",
    "Repair…",
    ask="Missing rows are copied, and rows of this run that differ are overwritten with what the mapping yields,"
    " also where somebody edited them in the target. Nothing is deleted.",
)
VERIFY = Button("verify", "Verify again")
ROLL_BACK = Button("rollback", "Roll back…", confirm=True)

BUTTONS = {
    states.QUEUED: (PAUSE, CANCEL),
    states.PREPARING: (PAUSE, CANCEL),
    states.COPYING: (PAUSE, CANCEL),
    states.VERIFYING: (PAUSE, CANCEL),
    states.PAUSING: (CANCEL,),
    states.PAUSED: (RESUME, CANCEL, ROLL_BACK),
    states.FAILED: (RETRY, ROLL_BACK),
    states.MISMATCH: (RETRY, REPAIR, VERIFY, ROLL_BACK),
    states.VERIFIED: (VERIFY, ROLL_BACK),
    states.CANCELLED: (ROLL_BACK,),
    states.ROLLING_BACK: (PAUSE,),
    states.ROLLED_BACK: (),
}
"""What an operator may do in each status; the actions themselves refuse all else."""
