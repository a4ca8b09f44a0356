import numpy as np

from faceforge.models.sampling import cycle_labels, draw_latents, label_combinations, path_between


def test_latents_do_not_depend_on_how_many_are_drawn_at_once() -> None:
    whole = draw_latents(7, 700, 5)
    parts = [draw_latents(7, count, 5, start) for start, count in ((0, 1), (1, 299), (300, 400))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert whole.dtype == np.float32


def test_latents_are_standard_normal_and_never_repeat() -> None:
    latents = draw_latents(0, 4000, 8)
    assert abs(latents.mean()) < 0.03
    assert abs(latents.std() - 1) < 0.03
    both = np.concatenate([latents, draw_latents(1, 4000, 8)])
    assert len(np.unique(both, axis=0)) == 8000


def test_labels_cycle_through_every_combination() -> None:
    vocabularies = {"gender": ["f", "m"], "age": ["a", "b", "c"]}
    assert label_combinations(vocabularies).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    rows, counts = np.unique(cycle_labels(vocabularies, 60), axis=0, return_counts=True)
    assert len(rows) == 6
    assert set(counts) == {10}
    assert cycle_labels({}, 3).shape == (3, 0)


def test_interpolated_latents_keep_their_distance_from_the_origin() -> None:
    ends = np.array([[3, 0, 0], [0, 5, 0], [0, 5, 0], [0, -1, 0], [0, 0, 0]], np.float32)
    path, nearest = path_between(ends, 5)
    assert path.shape == (17, 3)
    np.testing.assert_array_equal(path[::4], ends)
    np.testing.assert_allclose(np.linalg.norm(path[:5], axis=1), [3, 3.5, 4, 4.5, 5], rtol=1e-6)
    np.testing.assert_allclose(path[2], [8**0.5, 8**0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(path[4:8], ends[[1]].repeat(4, axis=0))  # from a point to itself
    assert np.isfinite(path).all()  # opposite ends, and the origin, have no arc between them
    assert nearest.tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4]
