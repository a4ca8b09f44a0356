from __future__ import annotations

import numpy as np

from faceforge.training.grids import COLUMNS, PATHS, ROWS, Grids

LABELS = {"sex": ["female", "male"], "age": ["child", "adult", "old"]}


class Recorder:
    """A generator of flat 4 x 4 images that remembers what it was asked for."""

    def __call__(self, latents: np.ndarray, labels: np.ndarray) -> np.ndarray:
        self.latents, self.labels = latents, labels
        return np.broadcast_to(np.arange(len(latents), dtype=np.uint8)[:, None, None, None], (len(latents), 4, 4, 3))


def test_a_row_is_a_class_and_a_column_a_latent() -> None:
    sample = Recorder()
    grid = Grids(LABELS, 5, seed=0).samples(sample)
    assert grid.shape == (6 * 4, COLUMNS * 4, 3)
    latents = sample.latents.reshape(6, COLUMNS, 5)
    labels = sample.labels.reshape(6, COLUMNS, 2)
    assert (latents == latents[:1]).all()
    assert len(np.unique(latents[0], axis=0)) == COLUMNS
    assert (labels == labels[:, :1]).all()
    assert len(np.unique(labels[:, 0], axis=0)) == 6
    np.testing.assert_array_equal(grid[::4, ::4, 0], np.arange(6 * COLUMNS).reshape(6, COLUMNS))


def test_without_classes_all_samples_differ() -> None:
    sample = Recorder()
    Grids({}, 5, seed=0).samples(sample)
    assert len(np.unique(sample.latents, axis=0)) == ROWS * COLUMNS
    assert sample.labels.shape == (ROWS * COLUMNS, 0)


def test_the_number_of_rows_is_limited() -> None:
    sample = Recorder()
    grid = Grids({"identity": [str(n) for n in range(1000)]}, 5, seed=0).samples(sample)
    assert grid.shape[0] == ROWS * 4


def test_interpolations_connect_two_latents_under_one_label() -> None:
    sample = Recorder()
    for labels in (LABELS, {}, {"odd": ["no", "yes"]}):
        grid = Grids(labels, 5, seed=0).interpolations(sample)
        assert grid.shape == (PATHS * 4, COLUMNS * 4, 3)
        latents = sample.latents.reshape(PATHS, COLUMNS, 5)
        steps = np.linalg.norm(np.diff(latents, axis=1), axis=2)
        apart = np.linalg.norm(latents[:, -1] - latents[:, 0], axis=1)
        assert (steps < 0.4 * apart[:, None]).all()
        assert (sample.labels.reshape(PATHS, COLUMNS, -1) == sample.labels.reshape(PATHS, COLUMNS, -1)[:, :1]).all()


def test_grids_depend_on_the_seed_only() -> None:
    drawn = []
    for seed in (3, 3, 4):
        sample = Recorder()
        Grids(LABELS, 5, seed).samples(sample)
        drawn.append(sample.latents)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.intersect1d(drawn[0], drawn[2]).size
