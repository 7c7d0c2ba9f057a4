"""Plots of measurements, as SVG: a bar for each variant, with the spread of its rounds, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from pathlib import Path

from rounds import PLAIN, Measurement, Row, Spread, digits

_WIDTH, _NAMES, _VALUES = 780, 215, 200
_BAR, _GAP, _TOP = 16, 10, 44
_OURS = ("ebpf", "notify", "audit", "kmsg")

_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">\n'
    '<rect width="100%" height="100%" rx="6" fill="#ffffff"/>\n'
    '<text x="12" y="24" font-size="15" font-weight="bold" fill="#222222">{title}</text>\n'
)


def write(folder: Path, measurements: Mapping[str, Measurement]) -> None:
    """One file for each measurement that has a variant without tracing, by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, measurement in measurements.items():
        if PLAIN in measurement.samples:
            (folder / f"{name}.svg").write_text(svg(measurement), encoding="utf-8")


def svg(measurement: Measurement) -> str:
    """How many times as long each variant took as the one without tracing: from there on, for the bars of a logarithmic
    scale have no other beginning."""
    rows = [row for row in measurement.rows() if row.ratio is not None]
    most = max(max(row.ratio.values) for row in rows if row.ratio is not None)
    scale = (_WIDTH - _NAMES - _VALUES) / math.log(max(most, 2))
    height = _TOP + len(rows) * (_BAR + _GAP) + 8
    title = f"{measurement.title}: times as long as without tracing"
    parts = [_HEAD.format(width=_WIDTH, height=height, title=escape(title))]
    for number, row in enumerate(rows):
        parts += _bar(row, _TOP + number * (_BAR + _GAP), scale)
    return "".join([*parts, "</svg>\n"])


def _bar(row: Row, top: int, scale: float) -> list[str]:
    spread = row.ratio
    assert spread is not None
    low, middle, high = (_place(value, scale) for value in _three(spread))
    colour = "#2b6cb0" if row.name.split()[0] in _OURS else "#a0aec0"
    centre = top + _BAR / 2
    missed = f", missed {row.missed}" if row.missed not in ("", "nothing", "does not tell") else ""
    return [
        f'<text x="{_NAMES - 8}" y="{top + 13}" text-anchor="end" fill="#222222">{escape(row.name)}</text>\n',
        f'<rect x="{_NAMES}" y="{top}" width="{middle - _NAMES + 1:.1f}" height="{_BAR}" fill="{colour}"/>\n',
        f'<path d="M{low:.1f} {centre}H{high:.1f}" stroke="#222222"/>\n',
        f'<text x="{high + 8:.1f}" y="{top + 13}" fill="#222222">{digits(spread.median)}{escape(missed)}</text>\n',
    ]


def _three(spread: Spread) -> tuple[float, float, float]:
    return min(spread.values), spread.median, max(spread.values)


def _place(value: float, scale: float) -> float:
    return _NAMES + max(0.0, math.log(value)) * scale
