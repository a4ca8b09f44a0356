"""Moves of the champion, without TensorFlow: versions here are registered by hand."""

from __future__ import annotations

import mlflow
import pytest

from faceforge.errors import FaceForgeError
from faceforge.tracking import promotion
from faceforge.tracking.promotion import Event, approve, champions, history, promote, require_approval, rollback

NAME = "faces"


@pytest.fixture
def versions(tracking_uri: str, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    """Four versions, the third rejected, whose bundles count as readable."""
    monkeypatch.setattr(promotion, "_unreadable", lambda name, version: "")
    client = mlflow.MlflowClient()
    client.create_registered_model(NAME)
    for decision in ("promote", "promote", "reject", "hold"):
        client.create_model_version(NAME, "file:///nowhere", tags={"faceforge.decision": decision})
    return client


def aliases(client: mlflow.MlflowClient) -> dict[str, str]:
    return {alias: str(version) for alias, version in client.get_registered_model(NAME).aliases.items()}


def test_every_rollback_undoes_one_promotion_exactly(versions: mlflow.MlflowClient) -> None:
    seen = []
    for version in ("1", "2", "4", "1"):
        promote(NAME, version)
        seen.append(aliases(versions))
    assert seen[-1] == {"champion": "1", "previous": "4"}
    for before in reversed(seen[:-1]):
        rollback(NAME, by="ada")
        assert aliases(versions) == before
    with pytest.raises(FaceForgeError, match="faces has no previous champion to go back to"):
        rollback(NAME)
    promote(NAME, "4")
    assert aliases(versions) == {"champion": "4", "previous": "1"}
    assert [event.action for event in history(NAME)] == [*["promote"] * 4, *["rollback"] * 3, "promote"]


@pytest.mark.parametrize("cut", ["set_registered_model_tag", "set_model_version_tag", "set_registered_model_alias"])
@pytest.mark.parametrize("move", [lambda: promote(NAME, "4"), lambda: rollback(NAME)])
def test_a_move_that_was_cut_off_did_not_happen(
    versions: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch, cut: str, move: object
) -> None:
    for version in ("1", "2", "1"):
        promote(NAME, version)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(mlflow.MlflowClient, cut, killed)
        with pytest.raises(KeyboardInterrupt):
            move()  # type: ignore[operator]
    assert aliases(versions)["champion"] == "1"
    rollback(NAME)
    assert aliases(versions) == {"champion": "2", "previous": "1"}


def moved(*steps: str) -> list[Event]:
    """`2>3` is a promotion, `3<2` the rollback from 3 to 2."""
    found = []
    for at, step in enumerate(steps):
        before, version = step.replace("<", ">").split(">")
        found.append(Event(str(at), "rollback" if "<" in step else "promote", version, before, "ada", ""))
    return found


@pytest.mark.parametrize(
    "events, champion, expected",
    [
        ([], "", ""),
        ([], "5", "5"),  # set by hand before there was a history
        (moved(">1", "1>2", "2>3"), "1", "1"),  # taken back by hand
        (moved(">1", "1>2"), "7", "1 2 7"),  # moved on by hand
        (moved(">1", "1>2", "7>8"), "8", "1 2 7 8"),
        (moved(">1", "1>2", "1>3"), "3", "1 3"),  # 2 never came to be
        (moved(">1", "1>2", "2>3", "3<2", "2>4"), "4", "1 2 4"),
        (moved(">1", "1>2"), "", "1 2"),  # the alias was deleted
    ],
)
def test_moves_by_other_means_are_understood(events: list[Event], champion: str, expected: str) -> None:
    assert champions(events, champion) == expected.split()


def test_what_was_rejected_needs_force_and_a_reason(versions: mlflow.MlflowClient) -> None:
    for attempt in ({}, {"force": True}, {"reason": "I like it"}):
        with pytest.raises(FaceForgeError, match="version 3 was rejected by its evaluation"):
            promote(NAME, "3", **attempt)
    with pytest.raises(FaceForgeError, match="rejected"):
        approve(NAME, "3", "I like it")
    assert aliases(versions) == {}
    promote(NAME, "3", "I like it", force=True, by="ada")
    tags = versions.get_model_version(NAME, "3").tags
    assert (tags["faceforge.promoted_by"], tags["faceforge.promoted_reason"]) == ("ada", "I like it")


def test_with_approval_required_nothing_is_promoted_without(versions: mlflow.MlflowClient) -> None:
    require_approval(NAME, by="ada")
    for attempt in ({}, {"force": True}):
        with pytest.raises(FaceForgeError, match="version 1 waits for approval: faceforge registry approve 1"):
            promote(NAME, "1", **attempt)  # type: ignore[arg-type]
    event = approve(NAME, "1", "looks right", by="grace")
    assert event is not None
    assert (event.action, event.by) == ("approve", "grace")
    promote(NAME, "2", "urgent", force=True)
    promote(NAME, "1")  # approved before
    rollback(NAME)
    assert aliases(versions) == {"champion": "2", "previous": "1"}
    require_approval(NAME, False)
    promote(NAME, "4")


def test_the_rule_may_come_before_the_model(tracking_uri: str) -> None:
    require_approval("others")
    assert promotion.approval_required("others")
    with pytest.raises(FaceForgeError, match="no model 'nobody'; registered: others"):
        promotion.approval_required("nobody")


def test_what_cannot_be_read_is_not_gone_back_to(
    versions: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(NAME, "1")
    promote(NAME, "2")
    monkeypatch.setattr(promotion, "_unreadable", lambda name, version: "the bundle is gone")
    with pytest.raises(FaceForgeError, match="faces cannot go back to version 1: the bundle is gone; promote another"):
        rollback(NAME)
    assert aliases(versions) == {"champion": "2", "previous": "1"}


def test_events_are_short_lines_and_older_ones_are_still_read(tracking_uri: str) -> None:
    import json
    from dataclasses import asdict

    import mlflow

    client = mlflow.MlflowClient()
    client.create_registered_model(NAME)
    old = Event("2026-01-01T00:00:00.000000+00:00", "promote", "1", "", "ada", "first")
    client.set_registered_model_tag(NAME, "faceforge.event.2026-01-01T00:00:00.000000Z", json.dumps(asdict(old)))
    client.set_registered_model_tag(
        NAME, "faceforge.event.2026-01-02T00:00:00.000000Z", "approve 2 · after 1 · bob · a · b"
    )
    assert history(NAME) == [
        old,
        Event("2026-01-02T00:00:00.000000+00:00", "approve", "2", "1", "bob", "a · b"),
    ]


def test_a_move_by_somebody_else_meanwhile_is_seen(
    versions: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(NAME, "1")

    def somebody_else(name: str, version: str) -> str:
        monkeypatch.setattr(promotion, "_unreadable", lambda name, version: "")
        promote(NAME, "2", by="eve")
        return ""

    monkeypatch.setattr(promotion, "_unreadable", somebody_else)
    promote(NAME, "4")
    assert [(event.version, event.before) for event in history(NAME)] == [("1", ""), ("2", "1"), ("4", "2")]
    assert aliases(versions) == {"champion": "4", "previous": "2"}
    promote(NAME, "1")
    monkeypatch.setattr(promotion, "_unreadable", somebody_else)
    with pytest.raises(FaceForgeError, match="faces has got another champion meanwhile, version 2"):
        rollback(NAME)
    assert aliases(versions) == {"champion": "2", "previous": "1"}
