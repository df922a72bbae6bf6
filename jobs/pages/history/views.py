"""What was done, by whom, when, from where and to what: searched, filtered, in parts, and as a file."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from jobs.history import chain
from jobs.history import export as exporting
from jobs.history.chosen import HistoryFilters, chosen
from jobs.models import HistoryEntry, HistoryWatch
from jobs.pages.decorators import asked, page, show
from jobs.pages.filter_fields import Choice, FilterField
from jobs.pages.paging import part
from mappings.models import Environment

SHOWN = 50
ACCOUNTS = "auth.view_user"
"""The permission to see sign-ins, accounts and rights, and from which address somebody came."""


@page
def history(request: HttpRequest) -> HttpResponse:
    """The newest entries that the filters leave, or the part of them that is asked for."""
    filters, accounts = _asked(request), request.user.has_perm(ACCOUNTS)
    given = {name: text for name, text in asdict(filters).items() if text}
    shown = part(chosen(filters, accounts), ("-number",), SHOWN, given, request.GET)
    return show(
        request, "jobs/history/history.html", "History",
        part=shown, entries=shown.rows, filters=filters, fields=_fields(filters, accounts), accounts=accounts,
        watch=HistoryWatch.objects.filter(id=chain.WATCH).first(), query=urlencode(given),
    )  # fmt: skip


@page
def export(request: HttpRequest, form: str) -> HttpResponse:
    """All entries that the filters leave, as a file that is written while it is read."""
    result = chosen(_asked(request), request.user.has_perm(ACCOUNTS))
    pieces = exporting.written(result, form)
    answer = StreamingHttpResponse(pieces, content_type=exporting.FORMATS[form])
    answer["Content-Disposition"] = f'attachment; filename="history.{form}"'
    return answer  # type: ignore[return-value]  # a response all the same


def _asked(request: HttpRequest) -> HistoryFilters:
    return HistoryFilters(**asked(request, *HistoryFilters.__slots__))


def _fields(filters: HistoryFilters, accounts: bool) -> tuple[FilterField, ...]:
    """Somebody, a mapping or a run that a link chose is a field only while it is chosen."""
    kinds = [kind for kind in HistoryEntry.KINDS if accounts or kind != "account"]
    names = list(Environment.objects.order_by("name").values_list("name", flat=True))
    chosen_by_link = (("who", "Only by"), ("mapping", "Only of"), ("run", "Only of run"))
    return (
        FilterField("q", "Search", filters.q),
        *(
            FilterField(name, label, value, (("", "all"), (value, value)))
            for name, label in chosen_by_link
            if (value := getattr(filters, name))
        ),
        FilterField("kind", "What", filters.kind, _choices(kinds, filters.kind)),
        FilterField("outcome", "Outcome", filters.outcome, _choices(HistoryEntry.OUTCOMES, filters.outcome)),
        FilterField("env", "Environment", filters.env, _choices(names, filters.env)),
        FilterField("way", "From", filters.way, _choices(HistoryEntry.WAYS, filters.way)),
        FilterField("since", "Since", filters.since, kind="date"),
        FilterField("until", "Until", filters.until, kind="date"),
    )


def _choices(values: list[str] | tuple[str, ...], value: str) -> tuple[Choice, ...]:
    """What may be chosen, with what is chosen even if it is not there any more."""
    known = [*values, *([value] if value and value not in values else [])]
    return (("", "all"), *((one, one) for one in known))
