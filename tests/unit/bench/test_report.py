"""What is made of measurements: the last runs, medians, ratios, plots."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.bench import plots, report
from tests.bench.results import DONE, Results, Sample, latest, median
from tests.bench.sections import SECTIONS, SMOKE

GET = "GET one node"


def sample(subject: str, run: str = "1", row: str = GET, **other: Any) -> Sample:
    fields = {
        "section": "reads",
        "line": "1.14",
        "figures": {},
        "commit": "abc",
        "quick": False,
        **other,
    }
    return Sample(row=row, subject=subject, run=run, **fields)


def get(subject: str, cpu_us: float, **other: Any) -> Sample:
    return sample(subject, figures={"cpu_us": cpu_us}, **other)


def done(run: str = "1", **other: Any) -> Sample:
    return sample("", run, DONE, **other)


def test_a_run_that_broke_off_does_not_replace_the_one_before() -> None:
    whole = get("capim", 1)
    assert latest([whole, done(), get("capim", 2, run="2")]) == [whole]


def test_the_last_finished_run_counts() -> None:
    newer = get("capim", 2, run="2")
    assert latest([get("capim", 1), done(), newer, done("2")]) == [newer]


def test_a_figure_that_nobody_measured_has_no_median() -> None:
    samples = [get("capim", value) for value in (5, 1, 3)]
    assert (median(samples, "cpu_us"), median(samples, "p99_ms")) == (3, None)


def test_samples_come_back_from_their_file(tmp_path: Path) -> None:
    results = Results(tmp_path / "new" / "bench.jsonl")
    assert results.all() == []
    for one in (get("capim", 1), done()):
        results.append(one)
    assert results.all() == [get("capim", 1), done()]


@pytest.mark.parametrize(
    ("other", "expected"),
    [({}, True), ({"commit": "def"}, False), ({"quick": True}, False), ({"line": "1.7"}, False)],
    ids=["whole", "other commit", "quick", "other line"],
)
def test_only_a_whole_run_of_the_same_commit_is_done(
    tmp_path: Path, other: dict[str, Any], *, expected: bool
) -> None:
    results = Results(tmp_path / "bench.jsonl")
    results.append(done(**other))
    assert results.is_done("reads", "1.14", "abc") is expected


def test_the_ratio_comes_first_and_is_bold_over_its_bar() -> None:
    good = report.markdown([get("capim", 30), get("go-1.14", 150), done()])
    assert f"| {GET}, us of CPU | 0.2 | 0.4 | 30 | 150 |" in good
    bad = report.markdown([get("capim", 150), get("go-1.14", 100), done()])
    assert f"| {GET}, us of CPU | **1.5** | 0.4 | 150 | 100 |" in bad


def test_quick_figures_are_shown_only_when_asked_for() -> None:
    samples = [get("capim", 1, quick=True), get("go-1.14", 2, quick=True), done(quick=True)]
    assert GET not in report.markdown(samples)
    assert "say little" in report.markdown(samples, quick=True)


def test_every_row_is_told_from_the_others_of_its_section() -> None:
    for section in SECTIONS.values():
        shown = [(row.name, row.figure) for row in section.ROWS]
        assert len(set(shown)) == len(shown)
        names = {row.name for row in section.ROWS}
        assert all(set(plot.rows.values()) <= names for plot in section.PLOTS)
    assert set(SMOKE) <= set(SECTIONS)


def test_a_plot_has_a_line_for_each_series_inside_its_frame() -> None:
    series = {"CAPIM": [(4.0, 30.0), (5000.0, 2e3)], "Go": [(4.0, 300.0), (5000.0, 3e5)]}
    root = ET.fromstring(plots.plot("LIST <cost>", "nodes", "us", series))  # noqa: S314 - our own
    lines = root.findall("{*}polyline")
    assert len(lines) == len(series)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for line in lines:
        for x, y in re.findall(r"([\d.]+),([\d.]+)", line.attrib["points"]):
            assert 0 < float(x) < width
            assert 0 < float(y) < height
    first, second = (line.attrib["points"].split()[-1] for line in lines)
    assert float(first.split(",")[1]) > float(second.split(",")[1])  # cheaper is lower
