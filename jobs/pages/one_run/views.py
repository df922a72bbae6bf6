"""What the page of a run asks for by itself, and the files that it hands out."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render

from jobs.pages.decorators import STOP_POLLING, page
from jobs.pages.one_run.chunk_map import cell_at, chunk_map, map_choice
from jobs.pages.one_run.run_views import run_or_404
from jobs.reporting.run_log import lines_of
from mappings.web.numbers import whole_number


@page
def chunks(request: HttpRequest, pk: int) -> HttpResponse:
    """The rows of the chunk map that moved since the browser last asked; 286 once nothing will move."""
    result = run_or_404(pk)
    drawn = chunk_map(result.run, map_choice(request.GET), kept=True)
    moved = drawn.moved_rows(request.GET.get("cells", ""))
    context = {"run": result.run, "map": drawn, "moved_rows": moved, "is_poll": True}
    return render(request, "jobs/run/map_live.html", context, status=200 if result.is_live else STOP_POLLING)


@page
def chunk(request: HttpRequest, pk: int) -> HttpResponse:
    """What one cell of the chunk map stands for, in a sentence."""
    result = run_or_404(pk)
    place = whole_number(request.GET.get("cell", "")) or 0
    context = {"cell": cell_at(result.run, map_choice(request.GET), place)}
    return render(request, "jobs/run/cell.html", context)


@page
def log(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """Everything that happened to the run, line by line, as a file."""
    answer = StreamingHttpResponse(lines_of(run_or_404(pk).run), content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="run-{pk}.log"'
    return answer
