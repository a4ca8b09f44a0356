from __future__ import annotations

import re

import pytest

from faceforge.tracking.pages import model_description, run_page, version_description, version_page


def test_pages_are_those_of_the_server_or_of_the_local_ui() -> None:
    assert run_page("https://mlflow.example/base/", "7", "abc").startswith(
        "https://mlflow.example/base/#/experiments/7/runs/abc?workflowType=machine_learning"
    )
    local = version_page("sqlite:////home/ada/mlflow.db", "my photos", "3")
    assert local.startswith("http://localhost:5000/#/models/my%20photos/versions/3?")


def test_a_description_says_decision_numbers_and_how_to_load() -> None:
    numbers = [("distance", "1.235, good", "twice that of real images"), ("variety", "50%, poor", "real images: 89%")]
    summary = [("frechet", "1.235"), ("recall", "50%")]
    text = version_description("photos", "3", "hold", ["too blurred", "and dark"], summary, numbers, "photos.zip")
    assert text.startswith("**hold**: too blurred; and dark\n\nfrechet **1.235** · recall **50%**\n")
    assert re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", text, re.MULTILINE)[1:] == numbers
    assert 'Generator.load("models:/photos/3")' in text
    assert 'Generator.load("models:/photos@champion")' in model_description("photos", "photos.zip")


def test_people_may_reach_mlflow_at_another_address_than_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEFORGE_MLFLOW_URL", "https://mlflow.example/ ")
    assert run_page("http://mlflow.faceforge:5000", "7", "abc").startswith("https://mlflow.example/#/experiments/7/")
    assert version_page("http://mlflow.faceforge:5000", "m", "3").startswith("https://mlflow.example/#/models/m/")


def test_names_of_classes_and_sources_have_no_effect_in_descriptions() -> None:
    text = version_description(
        "m", "1", "hold", ["class '![t](http://b)' is rare"], [], [("<b>|", "1", "2")], "a`b`.zip"
    )
    assert r"class '!\[t\](http://b)' is rare" in text
    assert r"| &lt;b>\| | 1 | 2 |" in text
    assert "images of `a'b'.zip`" in text
