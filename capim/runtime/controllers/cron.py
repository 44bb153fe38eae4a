"""Schedules as cron writes them: when the next time is. Pure.

Five fields (minute, hour, day of month, month, day of week) of `*`, numbers, names, ranges, lists and steps,
or one of `@hourly` and the like. A day is taken where day of month or day of week fits, if both are stated.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = [
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
]
_DAYS: Final = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_LIMITS: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
#: a schedule that names a day no year has is never due; leap days come within eight years
_LONGEST_DAYS: Final = 366 * 8


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed schedule."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  #: Sunday is 0
    any_day: bool  #: day of month is not stated
    any_weekday: bool
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str = "") -> Schedule:
        """Read a schedule. Raises ValueError for what is none."""
        fields = _MACROS.get(text.strip(), text).split()
        if len(fields) != len(_LIMITS):
            raise ValueError(f"{text!r}: expected five fields")
        names = ((), (), (), _MONTHS, _DAYS)
        minutes, hours, days, months, weekdays = (
            _field(field, *limits, list(named))
            for field, limits, named in zip(fields, _LIMITS, names, strict=True)
        )
        return cls(
            minutes,
            hours,
            days,
            months,
            frozenset(day % 7 for day in weekdays),
            fields[2] in {"*", "?"},
            fields[4] in {"*", "?"},
            ZoneInfo(zone or "UTC"),
        )

    def next_after(self, now: float) -> float | None:
        """Return the first time after `now`, seconds since the epoch; None where there is none."""
        start = datetime.datetime.fromtimestamp(now, self.zone).replace(second=0, microsecond=0)
        start += datetime.timedelta(minutes=1)
        day = start.date()
        for _ in range(_LONGEST_DAYS):
            if day.month in self.months and self._fits(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        moment = datetime.datetime.combine(
                            day, datetime.time(hour, minute), self.zone
                        )
                        if moment >= start:
                            return moment.timestamp()
            day += datetime.timedelta(days=1)
        return None

    def _fits(self, day: datetime.date) -> bool:
        by_date, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_date and by_weekday
        return by_date or by_weekday


def _field(text: str, least: int, most: int, names: list[str]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span in {"*", "?"}:
            low, high = least, most
        else:
            low = _number(first, names, least)
            high = _number(last, names, least) if dash else (most if step else low)
        every = int(step) if step else 1
        if not least <= low <= high <= most or every < 1:
            raise ValueError(f"{part!r}: not between {least} and {most}")
        found |= set(range(low, high + 1, every))
    return frozenset(found)


def _number(text: str, names: list[str], least: int) -> int:
    lowered = text.lower()
    return names.index(lowered) + least if lowered in names else int(text)
