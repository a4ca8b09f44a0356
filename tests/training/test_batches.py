import numpy as np

from faceforge.training.batches import Batches


def test_each_epoch_shows_every_image_once() -> None:
    batches = Batches(images=10, batch_size=4, latent_size=3, seed=1)
    shown = np.concatenate([batches.indices(step) for step in range(10)])
    for epoch in range(4):
        assert sorted(shown[epoch * 10 : epoch * 10 + 10]) == list(range(10))
    assert not np.array_equal(shown[:10], shown[10:20])


def test_a_step_is_the_same_in_whatever_order_it_is_asked_for() -> None:
    forwards, backwards = (Batches(images=7, batch_size=5, latent_size=3, seed=2) for _ in range(2))
    first = {step: (forwards.indices(step), forwards.latents(step)) for step in range(6)}
    for step in reversed(range(6)):
        np.testing.assert_array_equal(backwards.indices(step), first[step][0])
        np.testing.assert_array_equal(backwards.latents(step), first[step][1])


def test_seeds_and_steps_have_latents_of_their_own() -> None:
    ours, others = (Batches(images=7, batch_size=4, latent_size=64, seed=seed).latents(3) for seed in (0, 1))
    later = Batches(images=7, batch_size=4, latent_size=64, seed=0).latents(4)
    assert not np.intersect1d(ours, others).size
    assert not np.intersect1d(ours, later).size
