from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC

from tests.data.sources.conftest import listing, opened, refuse


def test_toyfaces_are_labelled_pixels() -> None:
    source = opened("toyfaces", limit=50)
    samples = listing("toyfaces", limit=50)
    assert (source.name, source.labels, source.count, len(samples)) == ("toyfaces", ("expression",), 50, 50)
    assert {str(sample.labels["expression"]) for sample in samples} == {"neutral", "smiling", "glasses"}
    pixels = samples[0].read()
    assert not isinstance(pixels, bytes)
    assert pixels.shape == (32, 32, 3)
    assert listing("toyfaces", limit=9, labels=())[0].labels == {}


def test_a_range_of_toyfaces_shows_the_same_faces() -> None:
    source = opened("toyfaces", limit=300)
    whole, part = list(source.samples()), list(source.samples(130, 200))
    assert [sample.path for sample in part] == [f"{number:06d}" for number in range(130, 200)]
    assert all(np.array_equal(a.read(), b.read()) for a, b in zip(whole[130:200], part, strict=True))


def test_toyfaces_can_be_uneven() -> None:
    samples = listing("toyfaces:neutral=9,glasses=1", limit=500)
    found = Counter(sample.labels["expression"] for sample in samples)
    assert 20 < found["glasses"] < 90
    assert "smiling" not in found
    assert opened("toyfaces:neutral=9,glasses=1").fingerprint() != opened("toyfaces").fingerprint()


def test_toydigits_are_labelled_and_read_by_a_classifier_of_others() -> None:
    samples = listing("toydigits", limit=500)
    assert {str(sample.labels["digit"]) for sample in samples} == set("0123456789")
    pixels = np.stack([np.asarray(sample.read()) for sample in samples])
    assert (pixels.shape, pixels.dtype) == ((500, 32, 32, 3), np.uint8)
    assert len(np.unique(pixels, axis=0)) == 500
    small = pixels[..., 0].reshape(500, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(500, -1)
    labels = [sample.labels["digit"] for sample in samples]
    assert SVC().fit(small[:400], labels[:400]).score(small[400:], labels[400:]) > 0.8


def test_a_range_of_toydigits_shows_the_same_digits() -> None:
    whole, part = listing("toydigits", limit=30), list(opened("toydigits", limit=30).samples(10, 20))
    assert [sample.path for sample in part] == [f"{number:06d}" for number in range(10, 20)]
    assert all(np.array_equal(a.read(), b.read()) for a, b in zip(whole[10:20], part, strict=True))


def test_digits_are_all_there_and_look_like_digits() -> None:
    source = opened("digits")
    samples = listing("digits")
    assert (source.name, source.labels, source.count) == ("digits", ("digit",), 1797)
    assert source.vocabularies == {"digit": [str(digit) for digit in range(10)]}
    assert min(Counter(sample.labels["digit"] for sample in samples).values()) == 174
    pixels = {
        digit: np.mean([np.asarray(s.read()) for s in samples if s.labels["digit"] == digit], axis=0) for digit in "01"
    }
    assert pixels["0"].shape == (8, 8, 3)
    assert pixels["0"][3:5, 3:5].mean() < 60 < 150 < pixels["1"][3:5, 3:5].mean()  # a ring is empty, a stroke is not
    assert len(listing("digits", limit=100)) == 100
    assert {sample.read().shape for sample in listing("digits", labels=(), limit=3)} == {(8, 8, 3)}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "spec, fields, match",
    [
        ("toyfaces", {"labels": ("mood",)}, "names 'mood'.*it has expression"),
        ("toyfaces:neutral=1", {"limit": 20}, "only the class 'neutral'"),
        ("toyfaces:happy=1", {}, "no class 'happy'"),
        ("toyfaces:nonsense", {}, "malformed"),
        ("digits", {"labels": ("mood",)}, "names 'mood'.*it has digit"),
        ("digits:3", {}, "does not exist"),
        ("toydigits", {"labels": ("mood",)}, "names 'mood'.*it has digit"),
    ],
)
def test_mistakes_are_told(spec: str, fields: dict[str, Any], match: str) -> None:
    refuse(match, spec, **fields)
