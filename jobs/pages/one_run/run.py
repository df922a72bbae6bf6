"""What a run's page shows: its regions and buttons, and the tokens that tell which regions moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.db.models import prefetch_related_objects
from django.urls import reverse
from django.utils.functional import cached_property

from jobs import states
from jobs.models import Report, Run, RunEvent, StepRun, TableRun
from jobs.pages.health import Ailment, ailments
from jobs.pages.one_run.buttons import BUTTONS, CANCEL, RETRY_ASIDE, Button
from jobs.pages.one_run.marks import joined, line_mark, mark, moved_places
from jobs.pages.one_run.steps import StepGroup, groups_of
from jobs.pages.one_run.tables import ALL_TABLES, ShownTables, TableFilters, TableRow
from jobs.pages.one_run.workers import AtWork, at_work
from jobs.pages.stepper import Stage, stages_of
from jobs.pages.throttle_form import ThrottleField, fields_of
from jobs.progress import Progress, progress_of
from jobs.reporting.rollback_proof import is_unexplained
from jobs.reporting.summary import copy_rate, failed_checks, found_different
from jobs.throttles import Throttles
from mappings.problems import Problem

EVENTS_SHOWN = 30
MOST_MARKED = 400
"""Beyond so many schema steps all are sent."""
MOST_MADE = 64
STAGE_WORDS = {"prepare": "prepared", "copy": "copied", "verify": "compared", "undo": "undone"}


@dataclass
class RunPage:
    """All regions of a run's page. Each is read when a template asks for it, once.

    typed, throttle_problems: what an operator wrote into the form of throttles, and what was refused of it.
    filters: which tables are listed; made, views: what `once` and `filtered` keep.
    """

    run: Run
    typed: Mapping[str, str] = field(default_factory=dict)
    throttle_problems: Sequence[Problem] = ()
    filters: TableFilters = ALL_TABLES
    made: dict[object, str] = field(default_factory=dict)
    views: dict[TableFilters, RunPage] = field(default_factory=dict)

    def once(self, key: object, make: Callable[[], str]) -> str:
        """What `make` yields, made once for all who ask for the same of this page as it is."""
        if key not in self.made:
            if len(self.made) >= MOST_MADE:
                self.made.clear()
            self.made[key] = make()
        return self.made[key]

    def filtered(self, filters: TableFilters) -> RunPage:
        """The same page with other tables listed; what was read for one is shared by both."""
        if filters not in self.views:
            if len(self.views) >= MOST_MADE:
                self.views.clear()
            other = copy(self)
            for name in ("shown", "_own_tokens"):
                other.__dict__.pop(name, None)
            other.filters = filters
            self.views[filters] = other
        return self.views[filters]

    @cached_property
    def shown(self) -> ShownTables:
        return ShownTables(self.run, self.progress.tables, self.filters)

    @cached_property
    def progress(self) -> Progress:
        return progress_of(self.run)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        return stages_of(self.run)

    @cached_property
    def steps(self) -> list[StepRun]:
        """Without their SQL, which may be long."""
        return list(self.run.steps.defer("sql"))

    @property
    def step_groups(self) -> tuple[StepGroup, ...]:
        """With their SQL."""
        if any("sql" in step.get_deferred_fields() for step in self.steps[:1]):
            self.steps = list(self.run.steps.all())
        return groups_of(self.run, self.steps)

    @cached_property
    def at_work(self) -> tuple[AtWork, ...]:
        """What each worker does now."""
        return at_work(self.run)

    @cached_property
    def events(self) -> list[RunEvent]:
        return list(self.run.events.order_by("-id")[:EVENTS_SHOWN])

    @property
    def most_events(self) -> int:
        return EVENTS_SHOWN

    @cached_property
    def tables(self) -> list[TableRun]:
        return list(self.run.tables.all())

    @property
    def table_names(self) -> list[str]:
        return [table.name for table in self.tables]

    @property
    def throttles(self) -> Throttles:
        return Throttles.from_json(self.run.throttles)

    @property
    def throttle_fields(self) -> list[ThrottleField]:
        return fields_of(self.throttles, self.typed, self.throttle_problems)

    @cached_property
    def report(self) -> Report | None:
        return self.run.reports.defer("tables").first()

    @property
    def health(self) -> tuple[Ailment, ...]:
        return ailments()

    @cached_property
    def quarantined(self) -> int:
        return sum(table.quarantined for table in self.tables)

    @cached_property
    def failed(self) -> list[dict[str, str]]:
        """The checks that the verification found broken, where it did."""
        return failed_checks(found_different(self.run))

    @cached_property
    def differs_after_rollback(self) -> bool:
        """Whether the proof of its rollback found what nobody accounts for."""
        return is_unexplained(self.run)

    @property
    def buttons(self) -> tuple[Button, ...]:
        """The buttons of this status. Rows that were set aside can be tried again after they are mended."""
        shown = BUTTONS[self.run.status]
        if self.run.is_held_rollback:
            shown = tuple(button for button in shown if button is not CANCEL)
        return (RETRY_ASIDE, *shown) if self.run.status == states.VERIFIED and self.quarantined else shown

    @property
    def may_be_retried(self) -> bool:
        """Whether rows that were set aside can be tried again now."""
        return any(button.action == "retry" for button in self.buttons)

    @property
    def may_be_reviewed_again(self) -> bool:
        return self.run.status in (states.ROLLED_BACK, states.CANCELLED, states.FAILED)

    @property
    def sentence(self) -> str:
        """The partial that says in words what the status means."""
        return f"jobs/status/{self.run.status}.html"

    @property
    def stage_words(self) -> str:
        """What the percentage counts: rows copied, compared or undone."""
        return STAGE_WORDS[self.run.stage]

    @property
    def fraction(self) -> float:
        """How far the stage is: schema steps while preparing, rows after that."""
        if self.run.stage != "prepare":
            return self.progress.fraction
        return self.steps_done / len(self.steps) if self.steps else 0.0

    @property
    def is_linking(self) -> bool:
        """Whether rows are all copied, and references that could not be filled before are being filled."""
        return any(table.state == "linking" for table in self.progress.tables)

    @property
    def steps_done(self) -> int:
        return sum(step.state == "done" and not step.backward for step in self.steps)

    @property
    def whole_percent(self) -> int:
        return int(self.fraction * 100)

    @property
    def is_estimate(self) -> bool:
        """Whether the number of rows to do is not yet counted."""
        return self.run.stage == "copy" and self.progress.fraction < 1

    @property
    def average_rate(self) -> float | None:
        return copy_rate(self.run, self.tables)

    @property
    def review_address(self) -> str:
        """Where the same mapping is reviewed again for the same environment."""
        query = urlencode({"env": self.run.environment.name})
        return f"{reverse('jobs:review', args=[self.run.mapping.name])}?{query}"

    @property
    def is_working(self) -> bool:
        """Whether a worker is, or should be, busy with the run."""
        return self.run.status in states.RINGING

    @property
    def is_live(self) -> bool:
        """Whether the page should ask again in a second. A paused run may be resumed by somebody else."""
        return self.run.status in states.ACTIVE

    @property
    def tokens(self) -> dict[str, str]:
        """What each rarely changing region looked like; a region is sent again only when its token moved."""
        return {**self._own_tokens, "health": mark([ailment.title for ailment in self.health])}

    @cached_property
    def _own_tokens(self) -> dict[str, str]:
        run = self.run
        return {
            "status": mark(run.status, run.stage, run.error, run.waiting_for, self.quarantined),
            "buttons": mark(self.buttons, self.may_be_reviewed_again),
            "steps": mark([(step.position, step.backward) for step in self.steps]),
            "stepped": joined(self.step_marks[:MOST_MARKED]),
            "events": mark(self.events[0].pk if self.events else 0),
            "verdict": mark(self.report.pk if self.report else 0, run.status),
            "throttles": mark(sorted(run.throttles.items())),
            "tables": mark(*self.shown.names),
            "rows": joined(self.shown.marks),
            "workers": mark(self.at_work, self.run.told_concurrency),
        }

    @cached_property
    def step_marks(self) -> list[str]:
        """For each schema step a few characters that change when it does."""
        return [line_mark(step.state, step.seconds, step.note) for step in self.steps]

    def moved_rows(self, seen: str) -> list[TableRow]:
        """The lines of the table of tables that are not as they were. seen: the `rows` of the tokens then."""
        return [self.shown.rows[place] for place in moved_places(self.shown.marks, seen)]

    def moved_steps(self, seen: str) -> list[StepRun]:
        """The schema steps that are not as they were. seen: the `stepped` of the tokens then."""
        return [self.steps[place] for place in moved_places(self.step_marks, seen)]


def whole_page(pk: int, filters: TableFilters) -> RunPage:
    """The page of one run as it is first shown: all of it, its steps with their SQL. Run.DoesNotExist."""
    page = run_page(pk)
    page.filters, page.steps = filters, list(page.run.steps.all())
    prefetch_related_objects([page.run], "tables")  # they are counted in more than one place
    return page


def run_page(pk: int) -> RunPage:
    """The page of one run; Run.DoesNotExist."""
    named = Run.objects.select_related("mapping", "environment", "revision", "started_by")
    return RunPage(named.defer("plan", "revision__canonical").get(pk=pk))
