"""Cron expressions: the usual five fields in, what Kubeflow Pipelines reads out, and nothing that it would misread.

Kubeflow's scheduler puts seconds first and takes five fields too, as seconds to months: `0 3 * * *` would run every
hour. All schedules of an installation share one time zone (CRON_SCHEDULE_TIMEZONE of its scheduler, UTC by default).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from faceforge.errors import FaceForgeError

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905
_DAYS = "sun mon tue wed thu fri sat".split()  # noqa: SIM905
_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}


class _Kind(NamedTuple):
    """What a field of an expression may hold."""

    name: str
    low: int
    high: int
    words: list[str]


_KINDS = (
    _Kind("minute", 0, 59, []),
    _Kind("hour", 0, 23, []),
    _Kind("day of month", 1, 31, []),
    _Kind("month", 1, 12, _MONTHS),
    _Kind("day of week", 0, 7, _DAYS),
)
_LONGEST = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_A_DAY = 24 * 60


@dataclass(frozen=True)
class Cron:
    """When something runs, in the wall-clock time of a zone; None in place of a set means every value.

    Attributes:
        minutes: 0..59.
        hours: 0..23.
        days: of the month, 1..31.
        months: 1..12.
        weekdays: 0 (Sunday)..6.
    """

    minutes: frozenset[int] | None
    hours: frozenset[int] | None
    days: frozenset[int] | None
    months: frozenset[int] | None
    weekdays: frozenset[int] | None

    @property
    def five(self) -> str:
        """The usual notation."""
        return " ".join(
            "*" if values is None else ",".join(str(value) for value in sorted(values))
            for values in (self.minutes, self.hours, self.days, self.months, self.weekdays)
        )

    @property
    def six(self) -> str:
        """Kubeflow's notation, seconds first."""
        return f"0 {self.five}"

    def upcoming(self, zone: str, after: datetime, count: int = 1) -> list[datetime]:
        """The next times in a zone, after a moment."""
        from croniter import croniter

        times = croniter(self.five, after.astimezone(read_zone(zone)))
        return [times.get_next(datetime) for _ in range(count)]

    def in_zone(self, written: str, wanted: str, now: datetime) -> Cron:
        """The same moments by the clocks of another zone, as the two stand to each other at `now`.

        Raises:
            FaceForgeError: no single expression says that.
        """
        shift = offset(wanted, now) - offset(written, now)
        minutes = round(shift.total_seconds() / 60)
        if not minutes:
            return self
        return self._shifted(
            minutes, f"cron {self.five!r} in {written} cannot be told in {wanted}, the scheduler's zone"
        )

    def _shifted(self, by: int, problem: str) -> Cron:
        times = {
            divmod(hour * 60 + minute + by, _A_DAY)
            for hour in _all(self.hours, 24)
            for minute in _all(self.minutes, 60)
        }
        clock = {at for _, at in times}
        hours, minutes = {at // 60 for at in clock}, {at % 60 for at in clock}
        if len(clock) != len(hours) * len(minutes):
            raise FaceForgeError(f"{problem}; write a schedule per time of day")
        moved = {day for day, _ in times}
        every_day = self.days is None and self.weekdays is None and self.months is None
        if moved != {0} and not every_day and (len(moved) > 1 or self.days is not None or self.months is not None):
            raise FaceForgeError(f"{problem}: its day changes; choose another hour")
        (day,) = moved if len(moved) == 1 else {0}
        weekdays = self.weekdays and frozenset((weekday + day) % 7 for weekday in self.weekdays)
        return Cron(_or_every(minutes, 60), _or_every(hours, 24), self.days, self.months, weekdays)


def read_cron(text: str) -> Cron:
    """A cron expression of five fields, or of Kubeflow's six with 0 as seconds, or `@daily` and its like.

    Raises:
        FaceForgeError: it is wrong, or never comes true.
    """
    fields = _SHORT.get(text.strip().lower(), text).replace("?", "*").split()
    if len(fields) == 6:
        if fields[0] != "0":
            raise FaceForgeError(f"cron {text!r} has six fields, so its first means seconds, and must be 0")
        fields = fields[1:]
    if len(fields) != 5:
        raise FaceForgeError(
            f"cron {text!r} has {len(fields)} fields; write five: minute hour day-of-month month day-of-week, "
            "for example '0 3 * * 0'"
        )
    values = [_field(text, field, kind) for field, kind in zip(fields, _KINDS, strict=True)]
    minutes, hours, days, months, weekdays = values
    if days is not None and weekdays is not None:
        raise FaceForgeError(
            f"cron {text!r} names days of the month and of the week, which means either of them; write two schedules"
        )
    if days is not None and min(days) > max(_LONGEST[month] for month in _all(months, 13, 1)):
        raise FaceForgeError(f"cron {text!r} never comes true: no such day in these months")
    if weekdays is not None:
        weekdays = _or_every({day % 7 for day in weekdays}, 7)
    return Cron(minutes, hours, days, months, weekdays)


def read_zone(name: str) -> ZoneInfo:
    """A time zone by its name in the IANA database.

    Raises:
        FaceForgeError: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FaceForgeError(f"time zone {name!r} is unknown; write one like Europe/Berlin or UTC") from None


def offset(zone: str, at: datetime) -> timedelta:
    """How far the clocks of a zone are ahead of UTC at a moment."""
    ahead = at.astimezone(read_zone(zone)).utcoffset()
    assert ahead is not None  # noqa: S101
    return ahead


def clock_change(written: str, wanted: str, now: datetime) -> datetime | None:
    """The day, within a year, on which two zones no longer stand to each other as they do now; None: they stay."""
    start = offset(wanted, now) - offset(written, now)
    for day in range(1, 366):
        then = now.astimezone(UTC) + timedelta(days=day)
        if offset(wanted, then) - offset(written, then) != start:
            return then
    return None


def _field(text: str, field: str, kind: _Kind) -> frozenset[int] | None:
    if field == "*":
        return None
    values = {value for part in field.split(",") for value in _part(text, part.lower(), kind)}
    return _or_every(values, kind.high - kind.low + 1)


def _part(text: str, part: str, kind: _Kind) -> Iterator[int]:
    found = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/(\d+))?", part)
    if not found or (found[1] == "*" and found[2]):
        raise FaceForgeError(f"cron {text!r}: {kind.name} {part!r} is not of the form 5, 1-5, */2 or 1,3")
    first, last, step = found[1], found[2], int(found[3] or 1)
    start = kind.low if first == "*" else _value(text, first, kind)
    if last:
        end = _value(text, last, kind)
    elif first == "*" or found[3]:
        end = 6 if kind.words is _DAYS else kind.high  # 7 is Sunday once more
    else:
        end = start
    if step < 1 or start > end:
        raise FaceForgeError(f"cron {text!r}: {kind.name} {part!r} is empty")
    yield from range(start, end + 1, step)


def _value(text: str, value: str, kind: _Kind) -> int:
    if value in kind.words:
        return kind.words.index(value) + (1 if kind.words is _MONTHS else 0)
    if not value.isdecimal() or not kind.low <= int(value) <= kind.high:
        words = f" or {kind.words[0]}-{kind.words[-1]}" if kind.words else ""
        raise FaceForgeError(f"cron {text!r}: {kind.name} {value!r} is not {kind.low}-{kind.high}{words}")
    return int(value)


def _all(values: frozenset[int] | None, stop: int, start: int = 0) -> frozenset[int]:
    return frozenset(range(start, stop)) if values is None else values


def _or_every(values: set[int], count: int) -> frozenset[int] | None:
    return None if len(values) == count else frozenset(values)
