"""The table and the plots of what was measured: ratios first, figures second."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench import plots
from tests.bench.results import Sample, latest, median, select
from tests.bench.sections import SECTIONS
from tests.bench.subjects import CAPIM, go_name
from tests.e2e import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.bench import Plot, Row

_PAGE: Final = build.CHECKOUT / "docs" / "performance.md"
_PLOTS: Final = build.CHECKOUT / "docs" / "performance"
_BEGIN: Final = "<!-- written by `make bench ARGS=--write`: from here -->"
_END: Final = "<!-- to here -->"
_ALONE: Final = "CAPIM alone"


def markdown(samples: Sequence[Sample], *, quick: bool = False) -> str:
    """Return the tables of the last run of every section; `quick` takes quick runs too."""
    found = latest(one for one in samples if quick or not one.quick)
    tables = [_table(found, line) for line in (*reversed(build.CLUSTER_API), "")]
    return "\n".join(filter(None, [_origin(found), *tables]))


def write(samples: Sequence[Sample]) -> None:
    """Put tables and plots into the docs; quick runs are no figures to keep."""
    found = latest(one for one in samples if not one.quick)
    _PLOTS.mkdir(exist_ok=True)
    pictures = []
    for file, title, drawing in _drawings(found):
        (_PLOTS / file).write_text(drawing)
        pictures.append(f"![{title}](performance/{file})")
    before, _, rest = _PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    body = f"{markdown(samples)}\n{chr(10).join(pictures)}\n"
    _PAGE.write_text(f"{before}{_BEGIN}\n{body}{_END}{after}")


def _origin(found: Sequence[Sample]) -> str:
    if not found:
        return "Nothing was measured.\n"
    commits = ", ".join(sorted({one.commit for one in found}))
    quick = " in quick runs, whose figures say little" if any(one.quick for one in found) else ""
    return (
        f"Measured: {commits}{quick}. Machine: {_processor()}, {os.cpu_count()} processors, "
        f"{_memory_gib():.0f} GiB, Linux {platform.release()}; Python {platform.python_version()}, "
        f"{_go_version()}.\n"
    )


def _table(found: Sequence[Sample], line: str) -> str:
    rows = [text for name in SECTIONS for text in _rows(name, select(found, section=name), line)]
    if not rows:
        return ""
    if not line:
        head = f"| {_ALONE} | |\n|---|---|"
    else:
        version = build.CLUSTER_API[line]
        head = f"| beside Go v{version} | ratio | bar | CAPIM | Go |\n|---|---|---|---|---|"
    return "\n".join([head, *rows]) + "\n"


def _rows(section: str, samples: Sequence[Sample], line: str) -> Iterator[str]:
    here = select(samples, line=line)
    if here:
        yield f"| *{SECTIONS[section].TITLE}* |" + " |" * (4 if line else 1)
    for row in SECTIONS[section].ROWS:
        ours = median(select(here, row=row.name, subject=CAPIM), row.figure)
        if ours is None:
            continue
        if not line:
            yield f"| {row.name} | {_figure(ours)} {row.unit} |"
            continue
        theirs = median(select(here, row=row.name, subject=go_name(line)), row.figure)
        if theirs is not None:
            yield _compared(row, ours, theirs)


def _compared(row: Row, ours: float, theirs: float) -> str:
    ratio = ours / theirs if theirs else float("inf")
    shown = _figure(ratio)
    if row.bar is not None and ratio > row.bar:
        shown = f"**{shown}**"
    bar = "" if row.bar is None else f"{row.bar:g}"
    return f"| {row.name}, {row.unit} | {shown} | {bar} | {_figure(ours)} | {_figure(theirs)} |"


def _figure(value: float) -> str:
    """Write three digits, without an exponent."""
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.3g}"


def _drawings(found: Sequence[Sample]) -> Iterator[tuple[str, str, str]]:
    """Yield file name, title and drawing of every plot that there are figures for."""
    for name, section in SECTIONS.items():
        samples = select(found, section=name)
        for plot in section.PLOTS:
            series = {
                _label(subject): points
                for subject in (CAPIM, *(go_name(line) for line in build.CLUSTER_API))
                if (points := _points(plot, select(samples, subject=subject)))
            }
            if series:
                drawing = plots.plot(plot.title, plot.x_label, plot.y_label, series)
                yield f"{plot.file}.svg", plot.title, drawing


def _points(plot: Plot, samples: Sequence[Sample]) -> list[plots.Point]:
    newest = max((one.line for one in samples), key=_line_order, default="")
    here = select(samples, line=newest)  # what CAPIM did beside one Go provider is enough
    measured = ((x, median(select(here, row=row), plot.figure)) for x, row in plot.rows.items())
    return [(float(x), y) for x, y in measured if y]


def _line_order(line: str) -> int:
    return list(build.CLUSTER_API).index(line) if line else -1


def _label(subject: str) -> str:
    return "CAPIM" if subject == CAPIM else f"Go v{build.CLUSTER_API[subject.removeprefix('go-')]}"


def _processor() -> str:
    for text in Path("/proc/cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            return text.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def _go_version() -> str:
    try:
        done = subprocess.run(
            ["go", "env", "GOVERSION"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "Go programs built before"
    return done.stdout.strip()
