from __future__ import annotations

import re

import pytest

from faceforge.defaults import model_name_of


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("toyfaces", "toyfaces"),
        ("toyfaces:neutral=8,glasses=1", "toyfaces"),
        ("digits", "digits"),
        ("tfds:celeb_a", "celeb_a"),
        ("tfds:mnist/3.0.1:train", "mnist"),
        ("photos/", "photos"),
        ("~/bob's photos", "bob-s-photos"),
        ("/data/faces.v2.tar.gz", "faces-v2"),
        ("../people.zip", "people"),
        ("s3://bucket/faces/all.parquet", "all"),
        ("https://host.example/a/b.parquet?token=x/y", "b"),
        ("s3://bucket/faces/*.parquet", "faces"),
        ("gs://bucket", "bucket"),
        (".", "faces"),
        ("写真", "写真"),
    ],
)
def test_a_model_is_named_after_its_source(source: str, name: str) -> None:
    assert model_name_of(source) == name


def test_the_name_is_always_valid_for_mlflow() -> None:
    for source in ("/", "~", "a:b", "tfds:", "x" * 500, "...", "%'\"", "s3://"):
        assert re.fullmatch(r"[\w-]{1,100}", model_name_of(source)), source
