"""Cron expressions: the usual five fields are read, Kubeflow's six (seconds first) are written.

Kubeflow's scheduler also accepts five fields but takes the first for seconds: `0 3 * * *` would run every hour. All
schedules of an installation share one time zone (`cronScheduleTimezone` in its config map `pipeline-install-config`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from faceforge.errors import FaceForgeError

_FIELDS = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of month", "1-31"),
    ("month", "1-12 or jan-dec"),
    ("day of week", "0-7 or sun-sat"),
)


@dataclass(frozen=True)
class Cron:
    """A cron expression of five fields whose values are `*` or lists of numbers; Sunday is 0."""

    five: str

    @property
    def six(self) -> str:
        """Kubeflow's notation, seconds first."""
        return f"0 {self.five}"

    def upcoming(self, zone: str, after: datetime) -> datetime:
        """The next time after a moment, by the clocks of a time zone.

        Raises:
            FaceForgeError: there is none within fifty years.
        """
        from croniter import CroniterError, croniter

        try:
            return croniter(self.five, after.astimezone(read_zone(zone))).get_next(datetime)
        except CroniterError:
            raise FaceForgeError(f"cron {self.five!r} never occurs: no such day in these months") from None


def read_cron(text: str) -> Cron:
    """Parses five fields, Kubeflow's six with 0 as seconds, or `@daily` and the like.

    Lists and ranges are written out as numbers, so that Kubeflow's parser (which knows no 7 for Sunday, for example)
    reads what croniter has read.

    Raises:
        FaceForgeError: the expression is invalid or ambiguous, or uses a form that Kubeflow does not know.
    """
    fields = text.split()
    if text.strip().startswith("@"):
        fields = (_write(_expand(text.lower())) or text).split()
    if len(fields) == 6:
        if fields[0] != "0":
            raise FaceForgeError(f"cron {text!r} has six fields, so the first means seconds and must be 0")
        fields = fields[1:]
    if len(fields) != 5:
        raise FaceForgeError(
            f"cron {text!r} has {len(fields)} fields; write five: minute hour day-of-month month day-of-week, "
            "for example '0 3 * * 0'"
        )
    for position, (field, (name, valid)) in enumerate(zip(fields, _FIELDS, strict=True)):
        if not _expand(" ".join(field if at == position else "*" for at in range(5))):
            raise FaceForgeError(f"cron {text!r}: {name} {field!r} is not {valid}, or a list, range or step of these")
    expanded = _expand(" ".join(fields))
    if ["*"] not in (expanded[2], expanded[4]):
        raise FaceForgeError(
            f"cron {text!r} has days of the month and of the week, which cron combines by 'or'; write two schedules"
        )
    cron = Cron(_write(expanded))
    cron.upcoming("UTC", datetime(2000, 1, 1, tzinfo=UTC))
    return cron


def _expand(text: str) -> list[list[Any]]:
    """Values of each field, numbers or `*`; empty if the expression is invalid or uses one of croniter's extensions."""
    from croniter import CroniterError, croniter

    try:
        values, nth_weekdays = croniter.expand(text)
    except CroniterError:
        return []
    numeric = all(value == "*" or isinstance(value, int) for field in values for value in field)  # not L, the last day
    random = any(part[:1] in "RrHh" for field in text.split() for part in field.split(","))
    return values if numeric and not nth_weekdays and not random else []


def _write(values: list[list[Any]]) -> str:
    return " ".join(",".join(map(str, field)) for field in values)


def read_zone(name: str) -> ZoneInfo:
    """A time zone by its name in the IANA database.

    Raises:
        FaceForgeError: the database does not have it.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise FaceForgeError(f"time zone {name!r} is unknown; write one like Europe/Berlin or UTC") from None
