from __future__ import annotations

from datetime import UTC, datetime

import pytest

from faceforge.errors import FaceForgeError
from pipelines.schedules.cron import read_cron

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
        ("@Midnight", "0 0 0 * * *"),
        ("0 22-2 * * *", "0 0 0,1,2,22,23 * * *"),
        ("0 3 * * fri-mon", "0 0 3 * * 0,1,5,6"),
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
        ("30 0 3 * * 0", "six fields, so the first means seconds"),
        ("60 3 * * *", "minute '60' is not 0-59"),
        ("0 24 * * *", "hour '24' is not 0-23"),
        ("0 3 0 * *", "day of month '0' is not 1-31"),
        ("0 3 * 13 *", "month '13' is not 1-12"),
        ("0 3 * * 8", "day of week '8' is not 0-7"),
        ("0 3 * * L", "day of week 'L' is not 0-7"),
        ("0 3 L * *", "day of month 'L' is not 1-31"),
        ("0 3 * * mon#1", "day of week 'mon#1' is not 0-7"),
        ("R 3 * * *", "minute 'R' is not 0-59"),
        ("0 H 3 * *", "hour 'H' is not 0-23"),
        ("0 5-3-1 * * *", "hour '5-3-1' is not 0-23"),
        ("*/0 * * * *", "minute '*/0' is not 0-59"),
        ("0 3 1 * 1", "write two schedules"),
        ("0 3 */2 * 1", "write two schedules"),  # written out, Kubeflow would combine them by 'or'
        ("0 3 31 2,4 *", "never occurs"),
        ("@never", "has 1 fields"),
        ("every day", "has 2 fields"),
    ],
)
def test_an_invalid_expression_is_refused_with_its_field(text: str, message: str) -> None:
    with pytest.raises(FaceForgeError, match="cron") as caught:
        read_cron(text)
    assert message in str(caught.value)


def test_next_times_follow_the_clocks_of_the_zone() -> None:
    winter = read_cron("0 3 * * 0").upcoming("Europe/Berlin", WINTER)
    summer = read_cron("0 3 * * 0").upcoming("Europe/Berlin", SUMMER)
    assert winter.isoformat() == "2026-01-18T03:00:00+01:00"
    assert summer.isoformat() == "2026-07-19T03:00:00+02:00"


def test_an_unknown_zone() -> None:
    with pytest.raises(FaceForgeError, match="time zone 'Mars/Olympus' is unknown"):
        read_cron("0 3 * * *").upcoming("Mars/Olympus", WINTER)
