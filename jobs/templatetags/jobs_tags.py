"""How numbers, times, statuses and bars are written on the pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.template.defaultfilters import truncatechars
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from jobs import states
from jobs.clock import now
from jobs.models import Run, StepRun
from jobs.pages import charts
from jobs.progress import TableProgress
from jobs.reporting import elements
from mappings.catalog.fingerprints import Side
from mappings.models import Environment
from mappings.plan.measures import Measure
from mappings.plan.table_plan import TablePlan
from mappings.studio.looking.real_rows import Pair

register = template.Library()

NO_BREAK = "\u00a0"
DASH = "\u2013"

TONES = {
    "queued": "quiet",
    "preparing": "busy",
    "copying": "busy",
    "verifying": "busy",
    "verified": "good",
    "mismatch": "bad",
    "failed": "bad",
    "cancelled": "quiet",
    "pausing": "held",
    "paused": "held",
    "rolling_back": "undo",
    "rolled_back": "quiet",
}
"""The colour family of each status. `good` is green and belongs to `verified` alone."""


@register.filter
def number(value: object) -> str:
    """1234567.8 -> '1 234 568' with thin no-break spaces; None -> a dash."""
    if value is None or value == "":
        return DASH
    return f"{round(Decimal(str(value))):,}"


@register.filter
def before_and_after(pair: Pair) -> SafeString:
    """Source values → what they become, cut to a cell; in Python, as a page of the studio has hundreds of them."""
    before = " · ".join("NULL" if part is None else truncatechars(part, 40) for part in pair.before)
    after = "NULL" if pair.after is None else truncatechars(pair.after, 60)
    return format_html('<span class="before">{}</span> → <b>{}</b>', before, after)


@register.filter
def compact(value: float | None) -> str:
    """A rate or size for a small place: 950, 12.4 k, 3.1 M."""
    if value is None:
        return DASH
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            size = value / (1e3 if unit == "k" else limit)
            return f"{size:.3g}{NO_BREAK}{unit}" if size < 1000 else f"{size:.0f}{NO_BREAK}{unit}"
    return number(value)


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds in words a person would use: 0.4 s, 12 s, 3 min 05 s, 1 h 12 min, 2 d 4 h."""
    if seconds is None:
        return DASH
    if seconds < 0.1:
        return f"<{NO_BREAK}0.1{NO_BREAK}s"
    if seconds < 10:
        return f"{seconds:.1f}{NO_BREAK}s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if whole < 60:
        parts = [(whole, "s")]
    elif whole < 3600:
        parts = [(minutes, "min"), (rest, "s")]
    elif whole < 86400:
        parts = [(hours, "h"), (minutes, "min")]
    else:
        parts = [(hours // 24, "d"), (hours % 24, "h")]
    first, *others = parts
    return NO_BREAK.join([f"{first[0]}{NO_BREAK}{first[1]}", *(f"{n:02d}{NO_BREAK}{u}" for n, u in others)])


@register.filter
def percent(fraction: float | None) -> str:
    """0.4567 -> '45 %'. Never rounds up to 100 before all is done."""
    if fraction is None:
        return DASH
    return f"{int(max(0.0, min(fraction, 1.0)) * 100)}{NO_BREAK}%"


@register.filter
def short(sha: str) -> str:
    """The first characters of a sha256, enough to recognise it by."""
    return str(sha)[:8]


@register.filter
def words(status: str) -> str:
    """A status as it is read: rolling_back -> rolling back."""
    return str(status).replace("_", " ")


@register.filter
def tone(status: str) -> str:
    """The colour family of a status."""
    return TONES.get(str(status), "quiet")


@register.filter
def plural(count: object, forms: str) -> str:
    """'1 234 rows' from 1234 and 'row,rows'."""
    one, many = forms.split(",")
    return f"{number(count)}{NO_BREAK}{one if count == 1 else many}"


@register.filter
def address(environment: Environment, side: Side) -> str:
    """host:port/database of one side of an environment; decrypted once a page, which may name it in each line."""
    labels: dict[str, str] = environment.__dict__.setdefault("shown_labels", {})
    if side not in labels:
        labels[side] = environment.label(side)
    return labels[side]


@register.filter
def estimated(tables: Sequence[TablePlan]) -> int:
    """Source rows of all tables of a plan, as far as planning counted or estimated them."""
    return sum(table.feed.estimate for table in tables)


@register.filter
def shown(value: object) -> str:
    """A value of a sample row: NULL and the empty text are told apart from other texts."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "'' (empty text)" if value == "" else str(value)


@register.simple_tag
def pill(status: str) -> SafeString:
    """The status in its colour, with a dot that does not rely on colour alone: the word is always there."""
    return format_html('<span class="pill pill-{}"><i></i>{}</span>', tone(status), words(status))


@register.simple_tag
def moment(at: datetime | None) -> SafeString | str:
    """A moment: how long ago, with the full date and time zone as its title."""
    if at is None:
        return DASH
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        local.strftime("%a %d %b %Y %H:%M:%S %Z"),
        since(at, now()),
    )


@register.simple_tag
def clock(at: datetime | None) -> SafeString | str:
    """A moment by the clock, to the second; the full date is its title."""
    if at is None:
        return DASH
    local = timezone.localtime(at)
    form = "%H:%M:%S" if local.date() == timezone.localdate() else "%d %b %H:%M:%S"
    full = local.strftime("%a %d %b %Y %H:%M:%S %Z")
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), full, local.strftime(form))


def since(at: datetime, now: datetime) -> str:
    """How long ago, in one unit; a date when it is more than a week."""
    seconds = (now - at).total_seconds()
    if seconds < 45:
        return "just now"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))}{NO_BREAK}min ago"
    if seconds < 86400:
        return f"{int(seconds / 3600)}{NO_BREAK}h ago"
    if seconds < 7 * 86400:
        return f"{int(seconds / 86400)}{NO_BREAK}d ago"
    return timezone.localtime(at).strftime("%d %b %Y").replace(" ", NO_BREAK)


@register.simple_tag
def table_bar(table: TableProgress, run: Run) -> SafeString:
    """The bar of one table: rows compared or undone while that happens, else the copied rows by outcome."""
    verifying = run.stage == "verify" and run.status not in (states.VERIFIED, states.MISMATCH)
    if verifying or run.stage == "undo":
        parts = [("compared" if verifying else "undone", table.done_rows)]
    else:
        names = ("inserted", "updated", "kept", "quarantined")
        parts = [(name, getattr(table, name)) for name in names]
    return charts.stacked_bar(parts, max(table.total_rows, table.done_rows), table.name)


@register.simple_tag
def count(value: int | None, alarm: str = "") -> SafeString:
    """A count in a table: zero is quiet; anything else in the class `alarm`, if one is given."""
    return format_html('<span class="{}">{}</span>', alarm if value else "zero", number(value))


@register.simple_tag
def step_line(step: StepRun) -> SafeString:
    """A schema step with its SQL folded away; a run may have hundreds."""
    return format_html(
        '<details class="disclosure"><summary class="step"><span class="step-title">{}{}</span>'
        '<span class="step-state" id="step-{}">{}</span></summary>'
        '<div class="card-body"><pre><code>{}</code></pre></div></details>\n',
        mark_safe('<span class="tag">undo</span> ') if step.backward else "",
        step.title,
        step.pk,
        step_state(step),
        step.sql,
    )


@register.simple_tag
def options(names: Iterable[str], chosen: str) -> SafeString:
    """The options of a long choice, each its own text."""
    return format_html_join(
        "",
        "<option{}>{}</option>",
        ((mark_safe(" selected") if name == chosen else "", name) for name in names),
    )


@register.simple_tag
def step_state(step: StepRun) -> SafeString:
    """How a schema step went: what it waits for, how long it took, its state."""
    took = step.state == "done" and step.seconds
    return format_html(
        '{}{}<span class="table-state table-state-{}">{}</span>',
        format_html('<span class="step-note">{}</span>', step.note) if step.note else "",
        format_html('<span class="muted">{}</span>', duration(step.seconds)) if took else "",
        step.state,
        step.state,
    )


@register.simple_tag
def width_bar(measure: Measure) -> SafeString:
    """How much of a column the longest value takes."""
    return charts.width_bar(measure.measured, measure.limit, measure.widened_to)


@register.filter
def rates(points: Sequence[tuple[float, float]]) -> dict[str, object] | None:
    """The chart of rows per second, with its peak and last moment; None while there is too little to draw."""
    svg = charts.rate_chart(points)
    return {"svg": svg, "peak": max(rate for _, rate in points), "last": points[-1][0]} if svg else None


@register.simple_tag(takes_context=True)
def admin_url(context: Mapping[str, Any], name: str, *args: object) -> str:
    """The address of an admin page (app_model_action); '' where there is none, or not for who looks."""
    app, model, action = name.split("_")
    rights = {"add": ("add",)}.get(action, ("view", "change"))
    if not any(context["user"].has_perm(f"{app}.{right}_{model}") for right in rights):
        return ""
    try:
        return reverse(f"admin:{name}", args=args)
    except NoReverseMatch:
        return ""


@register.simple_tag
def element(ways: elements.Ways, table: str, column: Mapping[str, str | None]) -> str:
    """Which ids inside a value of a sample differ."""
    return elements.said(ways.get((table, column["column"] or ""), ()), column["expected"], column["found"])
