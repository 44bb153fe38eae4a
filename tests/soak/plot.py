"""A run as one picture: memory, descriptors and tasks of each process over time. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.soak.trend import WINDOW, floors, line, windowed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.soak.trend import Sample

_TITLES: Final = {"rss_mib": "RSS, MiB", "descriptors": "open descriptors", "tasks": "tasks"}
#: told apart by those who do not see all colours, and on light and dark ground
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_LEFT: Final = 60
_WIDTH: Final = 800  #: of the panels
_HEIGHT: Final = 150
_STEP: Final = _HEIGHT + 50  #: from one panel to the next
_TOP: Final = 50


def drawn(samples: Sequence[Sample], ended_s: float) -> str:
    """Return the picture as SVG: every sample as a thin line, floors of rests as dots with their trend."""
    height = _TOP + _STEP * len(_TITLES)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="{height}" fill="#ffffff"/>',
    ]
    names = sorted({sample.process for sample in samples})
    for number, name in enumerate(names):
        parts.append(_text(_LEFT + 140 * number, 20, name, _COLOURS[number % len(_COLOURS)]))
    for number, measure in enumerate(_TITLES):
        parts += _panel(samples, names, measure, ended_s, _TOP + _STEP * number)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    samples: Sequence[Sample], names: list[str], measure: str, ended_s: float, top: int
) -> Iterator[str]:
    values = [sample.value(measure) for sample in samples]
    low, high = min(values), max(values)
    span = max(high - low, 1.0)

    def point(at_s: float, value: float) -> str:
        x = _LEFT + _WIDTH * at_s / ended_s
        return f"{x:.1f},{top + _HEIGHT * (1 - (value - low) / span):.1f}"

    yield _text(_LEFT, top - 8, _TITLES[measure], "#333333")
    shaded = _WIDTH * WINDOW
    yield (
        f'<rect x="{_LEFT + _WIDTH - shaded:.0f}" y="{top}" width="{shaded:.0f}"'
        f' height="{_HEIGHT}" fill="#f0f0f0"/>'
    )
    yield from _axes(low, high, ended_s, top)
    for number, name in enumerate(names):
        colour = _COLOURS[number % len(_COLOURS)]
        own = [sample for sample in samples if sample.process == name]
        every = " ".join(point(sample.at_s, sample.value(measure)) for sample in own)
        yield _path(every, colour, 'opacity="0.45"')
        rests = floors(windowed(own, ended_s), measure)
        for x, y in (point(*rest).split(",") for rest in rests):
            yield f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>'
        trend, ends = line(rests), (rests[0][0], rests[-1][0])
        both = zip(ends, (trend.first, trend.last), strict=True)
        yield _path(" ".join(point(*end) for end in both), colour, 'stroke-dasharray="6 3"')


def _axes(low: float, high: float, ended_s: float, top: int) -> Iterator[str]:
    bottom = top + _HEIGHT
    corners = f"{_LEFT},{top} {_LEFT},{bottom} {_LEFT + _WIDTH},{bottom}"
    yield _path(corners, "#333333", "")
    yield _text(5, top + 10, f"{high:.0f}", "#333333")
    yield _text(5, bottom, f"{low:.0f}", "#333333")
    minutes = ended_s / 60
    for part in range(7):
        x = _LEFT + _WIDTH * part / 6
        yield _text(x - 8, bottom + 16, f"{minutes * part / 6:.0f}", "#333333")
    yield _text(_LEFT + _WIDTH / 2 + 25, bottom + 16, "minutes", "#333333")


def _path(points: str, colour: str, more: str) -> str:
    return f'<polyline points="{points}" fill="none" stroke="{colour}" {more}/>'


def _text(x: float, y: float, text: str, colour: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}">{text}</text>'
