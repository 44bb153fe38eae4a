"""Line plots as small SVG files that need nothing else; both axes are logarithmic."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDTH: Final = 560
_HEIGHT: Final = 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 130, 40, 50
_NAME_HEIGHT: Final = 14
#: told apart also by those who do not see all colours
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_DASHES: Final = ("", "6 3", "2 3", "8 3 2 3")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where values of `low` to `high` come to lie between the pixels `start` and `end`."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float) -> _Axis:
        """Return an axis from one power of ten to another, with all values between."""
        low = 10.0 ** math.floor(math.log10(min(values)))
        high = 10.0 ** math.ceil(math.log10(max(values)))
        return cls(low, max(high, low * 10), start, end)

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        first, last = round(math.log10(self.low)), round(math.log10(self.high))
        return [10.0**power for power in range(first, last + 1)]


def plot(title: str, x_label: str, y_label: str, series: Mapping[str, Sequence[Point]]) -> str:
    """Draw a line for each of `series`; all values are greater than zero."""
    points = [point for line in series.values() for point in line]
    x_axis = _Axis.around([x for x, _ in points], _LEFT, _WIDTH - _RIGHT)
    y_axis = _Axis.around([y for _, y in points], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="sans-serif" font-size="12" role="img" '
        f'aria-label="{html.escape(title)}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        _text(_WIDTH / 2, 20, title, size=14),
        *_grid(x_axis, y_axis),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, x_label),
        f'<g transform="rotate(-90 16 {_HEIGHT / 2})">{_text(16, _HEIGHT / 2, y_label)}</g>',
        *(
            part
            for number, line in enumerate(series.values())
            for part in _line(number, line, x_axis, y_axis)
        ),
        *_names(series, x_axis, y_axis),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid(x_axis: _Axis, y_axis: _Axis) -> list[str]:
    parts = []
    for value in x_axis.ticks():
        x = x_axis.at(value)
        parts.append(_stroke(x, y_axis.start, x, y_axis.end))
        parts.append(_text(x, y_axis.start + 16, f"{value:g}"))
    for value in y_axis.ticks():
        y = y_axis.at(value)
        parts.append(_stroke(x_axis.start, y, x_axis.end, y))
        parts.append(_text(x_axis.start - 6, y + 4, f"{value:g}", anchor="end"))
    return parts


def _line(number: int, line: Sequence[Point], x_axis: _Axis, y_axis: _Axis) -> list[str]:
    colour, dash = _COLOURS[number % len(_COLOURS)], _DASHES[number % len(_DASHES)]
    places = [(x_axis.at(x), y_axis.at(y)) for x, y in line]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dash}"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
    ]


def _names(series: Mapping[str, Sequence[Point]], x_axis: _Axis, y_axis: _Axis) -> list[str]:
    """Name each line at its end, from the top down and never one name over another."""
    ends = sorted(
        (y_axis.at(line[-1][1]), x_axis.at(line[-1][0]), number, name)
        for number, (name, line) in enumerate(series.items())
    )
    parts, free = [], 0.0
    for y, x, number, name in ends:
        at = max(y + 4, free)
        free = at + _NAME_HEIGHT
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(_text(x + 8, at, name, anchor="start", colour=colour))
    return parts


def _stroke(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "middle", size: int = 12, colour: str = "#333"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{colour}">{html.escape(text)}</text>'
    )
