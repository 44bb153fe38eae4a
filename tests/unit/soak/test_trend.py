"""The soak's verdict: what counts as growth, and what does not."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest

from tests.soak import plot
from tests.soak.trend import Sample, floors, judge, line, table

_HOUR_S = 3600


def test_a_trend_is_told_an_hour_with_its_error() -> None:
    # residuals of +-1 about a rise of 2 an hour
    points = [(900.0 * i, 5 + 0.5 * i + (1, -1, -1, 1)[i % 4]) for i in range(4)]
    trend = line(points)
    assert trend.slope == pytest.approx(2.0)
    assert [trend.first, trend.last] == pytest.approx([5.0, 6.5])
    spread = sum((900.0 * (i - 1.5)) ** 2 for i in range(4))
    assert trend.error == pytest.approx(math.sqrt(4 / 2 / spread) * _HOUR_S)


def test_two_points_are_no_trend() -> None:
    with pytest.raises(ValueError, match="2 points"):
        line([(0, 1), (1, 1)])


def samples(grown: dict[str, float]) -> list[Sample]:
    """An hour with a rest every five minutes; what is `grown` grows by so much in it, from 100."""
    made = []
    for number in range(0, _HOUR_S, 10):
        resting = number % 300 >= 240
        busy = 0 if resting else 50  # comes and goes with requests

        def value(measure: str, at_s: int = number, more: int = busy) -> int:
            return round(100 + more + grown.get(measure, 0) * at_s / _HOUR_S)

        rss = round((100 + busy + grown.get("rss_mib", 0) * number / _HOUR_S) * (1 << 20))
        # one look of each rest catches a connection that is about to go
        passing = 3 if number % 300 == 250 else 0
        made.append(
            Sample(
                at_s=number,
                cycle=number // 300,
                resting=resting,
                process="worker-0",
                rss_bytes=rss,
                pss_bytes=rss // 2,
                descriptors=value("descriptors") + passing,
                threads=4,
                tasks=value("tasks"),
            )
        )
    return made


@pytest.mark.parametrize(
    ("grown", "found"),
    [
        pytest.param({}, set(), id="none"),
        pytest.param({"rss_mib": 0.9}, set(), id="memory-within"),
        pytest.param({"rss_mib": 1.2}, {"rss_mib"}, id="memory"),
        pytest.param({"descriptors": 3}, {"descriptors"}, id="descriptors"),
        pytest.param({"tasks": 3}, {"tasks"}, id="tasks"),
        pytest.param({"rss_mib": -5, "tasks": -3}, set(), id="shrinks"),
    ],
)
def test_growth(grown: dict[str, float], found: set[str]) -> None:
    rows = judge(samples(grown), _HOUR_S)
    assert {row.measure for row in rows if row.grows} == found


def test_only_the_last_three_quarters_count_and_rests_are_seen_at_their_least() -> None:
    rests = floors(samples({}), "descriptors")
    assert [value for _, value in rests] == [100] * 12
    [row] = [row for row in judge(samples({}), _HOUR_S) if row.measure == "descriptors"]
    assert row.rest.points == 9
    assert "| worker-0 | descriptors | 100.0 | 100.0 | +0.00 ± 0.00 |" in table([row])


def test_the_picture_is_whole() -> None:
    root = ET.fromstring(plot.drawn(samples({"tasks": 5}), _HOUR_S))  # noqa: S314 - ours
    kinds = [element.tag.rpartition("}")[2] for element in root]
    assert kinds.count("circle") == 3 * 9
    assert {"worker-0", "RSS, MiB", "minutes"} <= {element.text for element in root}
