"""A report as a file from its page, streamed as it is read; a workbook is put together in a file here first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from tempfile import TemporaryFile

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from jobs.models import Run
from jobs.pages.decorators import page, say
from jobs.pages.one_run.run_views import run_or_404
from jobs.reporting.differences import Filters
from jobs.reporting.evidence.document import as_text, evidence
from jobs.reporting.files import text, workbook
from jobs.reporting.files.content import Content, content_of
from jobs.reporting.summary import summary
from mappings.problems import Refused
from mappings.web.signed_in import signed_in

EVIDENCE_MS = 60_000
"""For how long a page lets a database digest one table."""

WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PIECES: dict[str, tuple[str, Callable[[Content], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", text.csv_pieces),
    "json": ("application/json", text.json_pieces),
}


@page
def report_file(request: HttpRequest, pk: int, form: str) -> HttpResponseBase:
    """The report in one of the forms, of the differences that the address filters."""
    run = run_or_404(pk).run
    name = f"run-{pk}-report.{form}"
    try:
        content = content_of(
            run, Filters.of(request.GET), request.GET.get("report", ""), request.GET.get("sort") or "key"
        )
        return _workbook(content, name) if form == "xlsx" else _streamed(content, form, name)
    except Refused as refusal:
        if form == "json":
            return _without(run, refusal, name)
        say(request, refusal.problems)
        return redirect("jobs:report", pk)


@page
def evidence_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Signed evidence of the run; a command makes it of databases that take longer than a page may."""
    run = run_or_404(pk).run
    try:
        made = evidence(run, signed_in(request).get_username(), EVIDENCE_MS)
    except Refused as refusal:
        say(request, refusal.problems)
        messages.info(request, f"What takes longer is made by a command: run evidence {pk} --output FILE")
        return redirect("jobs:report", pk)
    answer = HttpResponse(as_text(made), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="run-{pk}-evidence.json"'
    return answer


def _streamed(content: Content, form: str, name: str) -> StreamingHttpResponse:
    kind, pieces = PIECES[form]
    answer = StreamingHttpResponse(pieces(content), content_type=kind)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _workbook(content: Content, name: str) -> FileResponse:
    file = TemporaryFile(prefix="migrator-report-")  # noqa: SIM115  # the answer closes it
    workbook.write(content, file)
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=name, content_type=WORKBOOK)


def _without(run: Run, refusal: Refused, name: str) -> JsonResponse:
    """The counts alone, and why there is no more."""
    why = "; ".join(str(problem) for problem in refusal.problems)
    values = {**summary(run), "differences": None, "why_no_differences": why}
    answer = JsonResponse(values, json_dumps_params={"indent": 2})
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
