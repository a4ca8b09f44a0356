import pytest

from faceforge.training.schedules import cosine, ema_decay, ramp


def test_cosine_goes_from_start_to_end() -> None:
    assert [cosine(2.0, 0.5, p) for p in (0.0, 0.5, 1.0, 1.5)] == pytest.approx([2.0, 1.25, 0.5, 0.5])


def test_half_of_the_average_is_forgotten_after_a_half_life() -> None:
    steps = 1000 // 50
    assert ema_decay(1000, images_seen=10**9, batch_size=50) ** steps == pytest.approx(0.5)


def test_the_half_life_grows_with_the_images_seen() -> None:
    assert ema_decay(1000, images_seen=0, batch_size=64) == 0.0
    assert ema_decay(1000, images_seen=2000, batch_size=50) == pytest.approx(0.5 ** (50 / 400))
    assert ema_decay(0, images_seen=10**6, batch_size=64) == 0.0


def test_a_ramp_ends_after_its_share_of_the_budget() -> None:
    assert [ramp(p, 0.4) for p in (0.0, 0.1, 0.4, 1.0)] == pytest.approx([0, 0.25, 1, 1])
    assert [ramp(p, 0.0) for p in (0.0, 0.5)] == [1, 1]
