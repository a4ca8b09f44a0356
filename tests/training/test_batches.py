import numpy as np

from faceforge.training.batches import Batches


def everything(batches: Batches, step: int) -> list[np.ndarray]:
    return [batches.indices(step), batches.latents(step), batches.uniforms(step, 5), batches.seeds(step)]


def test_each_epoch_shows_every_image_once() -> None:
    batches = Batches(images=10, batch_size=4, latent_size=3, seed=1)
    shown = np.concatenate([batches.indices(step) for step in range(10)])
    for epoch in range(4):
        assert sorted(shown[epoch * 10 : epoch * 10 + 10]) == list(range(10))
    assert not np.array_equal(shown[:10], shown[10:20])


def test_a_step_does_not_depend_on_the_order_of_calls() -> None:
    forwards, backwards = (Batches(images=7, batch_size=5, latent_size=3, seed=2) for _ in range(2))
    first = {step: everything(forwards, step) for step in range(6)}
    for step in reversed(range(6)):
        for ours, theirs in zip(everything(backwards, step), first[step], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_latents_differ_between_seeds_and_steps() -> None:
    ours, others = (Batches(images=7, batch_size=4, latent_size=64, seed=seed).latents(3) for seed in (0, 1))
    later = Batches(images=7, batch_size=4, latent_size=64, seed=0).latents(4)
    assert not np.intersect1d(ours, others).size
    assert not np.intersect1d(ours, later).size


def test_uniforms_are_uniform_and_no_row_or_step_repeats_another() -> None:
    batches = Batches(images=7, batch_size=50, latent_size=8, seed=0)
    drawn = np.concatenate([batches.uniforms(step, 20) for step in range(20)])
    assert drawn.dtype == np.float32
    assert (drawn >= 0).all()
    assert (drawn < 1).all()
    counts, _ = np.histogram(drawn, 10, (0, 1))
    np.testing.assert_allclose(counts, drawn.size / 10, rtol=0.1)
    assert len(np.unique(drawn)) > 0.99 * drawn.size


def test_device_seeds_never_repeat() -> None:
    """Noise of real images takes a row's seed, that of fakes one more, of whichever row a replica begins with."""
    batches = Batches(images=7, batch_size=4, latent_size=3, seed=1)
    seeds = np.concatenate([batches.seeds(step) for step in range(5)])
    both = np.concatenate([seeds, seeds + 1])
    assert len(np.unique(both, axis=0)) == len(both)
    assert seeds.dtype == np.int32
