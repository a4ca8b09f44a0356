from __future__ import annotations

from datetime import UTC, datetime

import pytest

from faceforge.errors import FaceForgeError
from pipelines.schedules.cron import clock_change, read_cron

WINTER = datetime(2026, 1, 15, 12, tzinfo=UTC)
SUMMER = datetime(2026, 7, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "six"),
    [
        ("0 3 * * *", "0 0 3 * * *"),
        ("30 4 * * 1-5", "0 30 4 * * 1,2,3,4,5"),
        ("*/15 * * * *", "0 0,15,30,45 * * * *"),
        ("0 3 * * 7", "0 0 3 * * 0"),
        ("0 3 * * 5-7", "0 0 3 * * 0,5,6"),
        ("0 3 * * */2", "0 0 3 * * 0,2,4,6"),
        ("0 3 1 jan,JUL *", "0 0 3 1 1,7 *"),
        ("0 3 * * sun", "0 0 3 * * 0"),
        ("5/20 * * * *", "0 5,25,45 * * * *"),
        ("0 0 3 ? * 0", "0 0 3 * * 0"),  # Kubeflow's own six fields
        ("@weekly", "0 0 0 * * 0"),
        ("0 3 29 2 *", "0 0 3 29 2 *"),
    ],
)
def test_five_fields_become_the_six_that_kubeflow_reads(text: str, six: str) -> None:
    assert read_cron(text).six == six


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 3 * *", "has 4 fields"),
        ("", "has 0 fields"),
        ("0 0 3 * * 0 2026", "has 7 fields"),
        ("30 0 3 * * 0", "six fields, so its first means seconds"),
        ("60 3 * * *", "minute '60' is not 0-59"),
        ("0 24 * * *", "hour '24' is not 0-23"),
        ("0 3 0 * *", "day of month '0' is not 1-31"),
        ("0 3 * 13 *", "month '13' is not 1-12"),
        ("0 3 * * 8", "day of week '8' is not 0-7"),
        ("0 3 * * L", "day of week 'l' is not 0-7"),
        ("0 3 * * mon#1", "is not of the form"),
        ("0 5-3 * * *", "hour '5-3' is empty"),
        ("*/0 * * * *", "is empty"),
        ("0 3 1 * 1", "write two schedules"),
        ("0 3 31 2,4 *", "never comes true"),
        ("every day", "has 2 fields"),
    ],
)
def test_a_wrong_cron_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(FaceForgeError, match="cron") as caught:
        read_cron(text)
    assert message in str(caught.value)


def test_next_times_follow_the_clocks_of_the_zone() -> None:
    (winter,) = read_cron("0 3 * * 0").upcoming("Europe/Berlin", WINTER)
    (summer,) = read_cron("0 3 * * 0").upcoming("Europe/Berlin", SUMMER)
    assert winter.isoformat() == "2026-01-18T03:00:00+01:00"
    assert summer.isoformat() == "2026-07-19T03:00:00+02:00"


@pytest.mark.parametrize(
    ("text", "written", "now", "told"),
    [
        ("0 3 * * 0", "Europe/Berlin", WINTER, "0 2 * * 0"),
        ("0 3 * * 0", "Europe/Berlin", SUMMER, "0 1 * * 0"),
        ("30 0 * * 0", "Europe/Berlin", SUMMER, "30 22 * * 6"),
        ("0 22 * * 6", "America/New_York", WINTER, "0 3 * * 0"),
        ("0 3 * * *", "Asia/Kolkata", WINTER, "30 21 * * *"),
        ("0 * * * *", "Europe/Berlin", WINTER, "0 * * * *"),
        ("15 */6 * * *", "Europe/Berlin", WINTER, "15 5,11,17,23 * * *"),
        ("0 3 1 * *", "Europe/Berlin", WINTER, "0 2 1 * *"),
        ("0 3 * * 0", "UTC", WINTER, "0 3 * * 0"),
    ],
)
def test_a_cron_is_told_in_the_schedulers_zone(text: str, written: str, now: datetime, told: str) -> None:
    cron = read_cron(text)
    there = cron.in_zone(written, "UTC", now)
    assert there.five == told
    assert [a.astimezone(UTC) for a in cron.upcoming(written, now, 2)] == there.upcoming("UTC", now, 2)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("30 0 1 * *", "Europe/Berlin"),  # the last day of the month before: no cron says that
        ("0 0,12 * * 0", "Europe/Berlin"),
        ("0,50 3 * * *", "Asia/Kathmandu"),  # 45 minutes: another minute for each of two hours
    ],
)
def test_what_no_single_cron_can_say_is_refused(text: str, written: str) -> None:
    with pytest.raises(FaceForgeError, match="cannot be told in UTC"):
        read_cron(text).in_zone(written, "UTC", WINTER)


def test_when_the_clocks_change() -> None:
    change = clock_change("Europe/Berlin", "UTC", WINTER)
    assert change is not None
    assert change.date().isoformat() == "2026-03-29"
    assert clock_change("Europe/Berlin", "Europe/Paris", WINTER) is None
    assert clock_change("UTC", "UTC", WINTER) is None


def test_an_unknown_zone() -> None:
    with pytest.raises(FaceForgeError, match="time zone 'Mars/Olympus' is unknown"):
        read_cron("0 3 * * *").upcoming("Mars/Olympus", WINTER)
