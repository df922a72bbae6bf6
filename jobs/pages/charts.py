"""Small charts as SVG, made on the server: no script, no inline style, colours by class.

The shapes stretch with the page (`preserveAspectRatio="none"`), so texts stand beside them in HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

WIDTH, HEIGHT = 600, 120
MAX_POINTS = 150
BAR_BOX = mark_safe('viewBox="0 0 100 4" preserveAspectRatio="none"')


def stacked_bar(parts: Iterable[tuple[str, int]], total: int, label: str) -> SafeString:
    """A bar of `total` with one segment per (class, size) in order; the rest stays empty."""
    shown = [(name, size) for name, size in parts if size > 0]
    whole = max(total, sum(size for _, size in shown), 1)
    rects, start = [], 0.0
    for name, size in shown:
        width = 100 * size / whole
        rects.append((f"{start:.3f}", f"{width:.3f}", name))
        start += width
    words = ", ".join(f"{size} {name}" for name, size in shown) or "none yet"
    return format_html(
        '<svg class="bar" {} role="img" aria-label="{}: {}">{}</svg>',
        BAR_BOX,
        label,
        words,
        format_html_join("", '<rect x="{}" y="0" width="{}" height="4" class="part-{}"/>', rects),
    )


def width_bar(measured: int, limit: int, widened_to: int | None) -> SafeString:
    """The longest value against what the column holds now, and after widening."""
    scale = max(measured, limit, widened_to or 0, 1)
    fits = measured <= limit
    label = f"longest {measured} of {limit}" + (f", widened to {widened_to}" if widened_to else "")
    return format_html(
        '<svg class="bar bar-width" {} role="img" aria-label="{}">'
        '<rect x="0" y="0" width="{}" height="4" class="{}"/>'
        '<rect x="{}" y="0" width="1" height="4" class="mark"/></svg>',
        BAR_BOX,
        label,
        f"{100 * measured / scale:.2f}",
        "part-inserted" if fits else ("part-updated" if widened_to else "part-over"),
        f"{min(100 * limit / scale, 99):.2f}",
    )


def rate_chart(rates: Sequence[tuple[float, float]]) -> SafeString | str:
    """An area of (seconds since start, rows per second), from zero; '' while there is nothing to see."""
    if len(rates) < 2 or not any(rate for _, rate in rates):
        return ""
    points = thinned(rates)
    first, last = points[0][0], points[-1][0]
    peak = max(rate for _, rate in points)
    across = (last - first) or 1.0
    places = [(WIDTH * (at - first) / across, HEIGHT - (HEIGHT - 4) * rate / peak) for at, rate in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return format_html(
        '<svg class="chart" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        '<line x1="0" y1="{mid}" x2="{w}" y2="{mid}" class="grid"/>'
        '<line x1="0" y1="4" x2="{w}" y2="4" class="grid"/>'
        '<polygon points="0,{h} {line} {w},{h}" class="area"/><polyline points="{line}" class="line"/></svg>',
        w=WIDTH,
        h=HEIGHT,
        mid=HEIGHT / 2 + 2,
        line=line,
        label=f"Rows per second over the run: peak {peak:.0f}, last {points[-1][1]:.0f}",
    )


def thinned(rates: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most MAX_POINTS points; neighbours are averaged."""
    size = -(-len(rates) // MAX_POINTS)
    groups = [rates[start : start + size] for start in range(0, len(rates), size)]
    return [(group[-1][0], sum(rate for _, rate in group) / len(group)) for group in groups]
