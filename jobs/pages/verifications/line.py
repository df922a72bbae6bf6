"""The verifications of a mapping as a line, made on the server: time across, rows that are wrong upwards."""

from __future__ import annotations

import math
from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.pages.charts import HEIGHT, WIDTH
from jobs.reporting.verifications import Verification

EDGE = 10
"""Of the room around the line, so that its points are whole."""


def line(verifications: Sequence[Verification]) -> SafeString | str:
    """found: newest first. Upwards by powers of ten, so that one wrong row among a million is seen; '' for none."""
    if not verifications:
        return ""
    points = list(reversed(verifications))
    first, last = points[0].created, points[-1].created
    span = (last - first).total_seconds() or 1.0
    peak = max(math.log10(1 + one.wrong) for one in points) or 1.0
    places = [
        (
            EDGE
            + (WIDTH - 2 * EDGE) * ((one.created - first).total_seconds() / span if len(points) > 1 else 1),
            HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * math.log10(1 + one.wrong) / peak,
        )
        for one in points
    ]
    dots = [
        (f"{x:.1f}", f"{y:.1f}", "good" if one.passed else "bad")
        for one, (x, y) in zip(points, places, strict=True)
    ]
    green = sum(one.passed for one in points)
    return format_html(
        '<svg class="chart chart-verifications" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img"'
        ' aria-label="{count} verifications, {green} of them green; the last one found {wrong} rows wrong">'
        '<line x1="0" y1="{base}" x2="{w}" y2="{base}" class="grid"/>'
        '<polyline points="{line}" class="line"/>{dots}</svg>',
        w=WIDTH, h=HEIGHT, base=HEIGHT - EDGE, count=len(points), green=green, wrong=points[-1].wrong,
        line=" ".join(f"{x:.1f},{y:.1f}" for x, y in places),
        dots=format_html_join("", '<path d="M{} {}h0.01" class="dot dot-{}"/>', dots),
    )  # fmt: skip
