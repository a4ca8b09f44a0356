"""Sliced Wasserstein distance of image patches per scale: a fast distance that needs no network.

Karras et al. (2018), "Progressive Growing of GANs", section 5. A small distance at 16 x 16 means that layout and large
colour areas have similar distributions, at the full resolution that texture and noise have.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from faceforge.errors import FaceForgeError
from faceforge.evaluation.metrics.blocks import map_blocks, slices

PATCH, PATCHES = 7, 32  # edge in pixels; patches of each image and level
DIRECTIONS = 256
AT_A_TIME = 32  # directions of which a thread sorts the projections
SMALLEST = 16  # resolution of the coarsest level
CHUNK = 64  # images held as floats at a time

Floats = NDArray[np.float32]


def sliced_wasserstein(real: NDArray[np.uint8], fake: NDArray[np.uint8], seed: int = 0) -> float:
    """The mean distance over the levels of the images' Laplacian pyramids.

    At every level 7 x 7 patches are taken at random places, the same in both sets; W1 is the mean absolute difference
    of the two sets' sorted projections, averaged over random unit directions. Unlike in the paper both sets are
    normalised by the real patches' mean and deviation per channel: each by its own would hide wrong colours and
    contrast. Of the larger set as many images are drawn as the smaller one has.

    Args:
        real, fake: uint8 (N, H, W, C) and (M, H, W, C), H and W at least 7. The distance of two samples of one
            distribution is above 0 and falls with their number: compare only what was measured with equal N and M.
        seed: of images, places and directions.

    Returns:
        At least 0, in standard deviations of the real patches. The paper prints a thousand times its own.

    Raises:
        FaceForgeError: no images, or images of unlike or too small a shape.
    """
    if real.ndim != 4 or real.shape[1:] != fake.shape[1:] or min(real.shape[1:3]) < PATCH:
        raise FaceForgeError(
            f"images of shapes {real.shape} and {fake.shape} cannot be compared; give two sets of equal height, width "
            f"and channels, {PATCH} pixels or more"
        )
    if not len(real) or not len(fake):
        raise FaceForgeError(f"{len(real)} and {len(fake)} images cannot be compared; give one or more of each")
    rng = np.random.default_rng(seed)
    count = min(len(real), len(fake))
    real, fake = (s if len(s) == count else s[rng.choice(len(s), count, replace=False)] for s in (real, fake))
    places = rng.random((count, PATCHES, 2))
    distances = [_distance(*pair, rng) for pair in zip(_patches(real, places), _patches(fake, places), strict=True)]
    return float(np.mean(distances))


def _distance(real: Floats, fake: Floats, rng: np.random.Generator) -> float:
    """Sliced W1 of two sets of patches (N, D, C). Sums are float64, the sorted projections float32."""
    mean, deviation = (np.asarray(of(real, axis=(0, 1), dtype=np.float64)) for of in (np.mean, np.std))
    scale = np.where(deviation == 0, 1, deviation).astype(np.float32)
    directions = rng.normal(size=(real.shape[1] * real.shape[2], DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    # Directions come first so that each one's projections lie side by side, to be sorted.
    turn = directions.T.astype(np.float32)
    first, second = (((p - mean.astype(np.float32)) / scale).reshape(len(p), -1).T for p in (real, fake))

    def differences(strip: slice) -> float:
        sorted_projections = [np.sort(turn[strip] @ points) for points in (first, second)]
        return float(np.abs(np.subtract(*sorted_projections)).sum(dtype=np.float64))

    return sum(map_blocks(differences, slices(DIRECTIONS, AT_A_TIME))) / (DIRECTIONS * len(real))


def _patches(images: NDArray[np.uint8], places: NDArray[np.float64]) -> list[Floats]:
    """Each level's patches (N * PATCHES, PATCH * PATCH, C), finest level first."""
    levels: list[list[Floats]] = []
    for start in range(0, len(images), CHUNK):
        where = places[start : start + CHUNK]
        for number, level in enumerate(_pyramid(images[start : start + CHUNK].astype(np.float32))):
            windows = np.lib.stride_tricks.sliding_window_view(level, (PATCH, PATCH), axis=(1, 2))
            y, x = (where * windows.shape[1:3]).astype(int).transpose(2, 0, 1)
            taken = windows[np.arange(len(level))[:, None], y, x]  # (N, PATCHES, C, PATCH, PATCH)
            if number == len(levels):
                levels.append([])
            levels[number].append(np.moveaxis(taken, 2, -1).reshape(-1, PATCH * PATCH, level.shape[-1]))
    return [np.concatenate(level) for level in levels]


def _pyramid(images: Floats) -> Iterator[Floats]:
    """Laplacian pyramid (Burt & Adelson, 1983): what each halving loses, and what is left at the end."""
    while min(images.shape[1:3]) >= 2 * SMALLEST and not (images.shape[1] % 2 or images.shape[2] % 2):
        half = _halve(_halve(images, 1), 2)
        yield images - _double(_double(half, 1), 2)
        images = half
    yield images


def _halve(images: Floats, axis: int) -> Floats:
    """Binomial filter (1, 4, 6, 4, 1) / 16 and every second line; images are mirrored beyond their edges."""
    lines = np.moveaxis(images, axis, 0)
    lines = np.concatenate([lines[2:0:-1], lines, lines[-2:-3:-1]])
    a, b, c, d, e = (lines[i : i + len(lines) - 4 : 2] for i in range(5))
    halved = np.asarray((a + e + 4 * (b + d) + 6 * c) / 16, np.float32)
    return np.moveaxis(halved, 0, axis)


def _double(images: Floats, axis: int) -> Floats:
    """Zeros between the lines and the binomial filter / 8, mirrored likewise."""
    lines = np.moveaxis(images, axis, 0)
    wide = np.concatenate([lines[1:2], lines, lines[-1:]])
    doubled = np.empty((2 * len(lines), *lines.shape[1:]), np.float32)
    doubled[0::2] = (wide[:-2] + 6 * lines + wide[2:]) / 8
    doubled[1::2] = (lines + wide[2:]) / 2
    return np.moveaxis(doubled, 0, axis)
