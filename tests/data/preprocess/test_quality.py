from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from faceforge.config import IngestConfig
from faceforge.data.preprocess.decode import RejectedError
from faceforge.data.preprocess.measures import Measures
from faceforge.data.preprocess.prepare import prepare_image


def measures(image: Image.Image, **fields: object) -> Measures:
    config = IngestConfig.model_validate({"image_size": 32, **fields})
    return prepare_image(np.asarray(image.convert("RGB")), config).measures


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize(
    "image, fields, reason",
    [
        (noise(60, 7), {"max_aspect": 9}, "only 7 px wide where cropped, below ingest.min_edge 8"),
        (noise(60, 60), {"crop_size": 40, "min_edge": 48}, "only 40 px wide where cropped, below ingest.min_edge 48"),
        (noise(90, 20), {}, r"aspect ratio 4.5 \(90 x 20\), above ingest.max_aspect 4"),
        (noise(20, 50), {"max_aspect": 2.4}, r"aspect ratio 2.5 \(20 x 50\), above ingest.max_aspect 2.4"),
        (Image.new("L", (32, 32), 77), {}, "uniform: contrast 0.0000, below ingest.min_contrast 0.01"),
        (noise(32, 32), {"min_sharpness": 1e9}, r"blurred: sharpness \d+.\d, below ingest.min_sharpness 1e\+09"),
    ],
)
def test_a_reject_reason_names_the_value_and_the_limit(
    image: Image.Image, fields: dict[str, object], reason: str
) -> None:
    with pytest.raises(RejectedError, match=reason):
        measures(image, **fields)


def test_by_default_almost_everything_passes() -> None:
    for image in (noise(8, 8), noise(80, 20), Image.linear_gradient("L").filter(ImageFilter.GaussianBlur(9))):
        measures(image)


def test_measures_have_their_documented_values() -> None:
    half = np.zeros((32, 32), np.uint8)
    half[:, 16:] = 255
    measured = measures(Image.fromarray(half))
    assert (measured.width, measured.height) == (32, 32)
    assert measured.brightness == pytest.approx(0.5)
    assert measured.contrast == pytest.approx(0.5)
    levels = half.astype(float)
    laplacian = levels[:-2, 1:-1] + levels[2:, 1:-1] + levels[1:-1, :-2] + levels[1:-1, 2:] - 4 * levels[1:-1, 1:-1]
    assert measured.sharpness == pytest.approx(laplacian.var())
    assert np.frombuffer(measured.thumbnail, np.uint8).reshape(4, 4, 3)[0, :, 0].tolist() == [0, 0, 255, 255]


def test_blur_lowers_sharpness() -> None:
    sharp = [measures(noise(64, 64).filter(ImageFilter.GaussianBlur(radius))).sharpness for radius in (0, 1, 2, 4)]
    assert sharp == sorted(sharp, reverse=True)


def test_the_aspect_ratio_is_checked_before_a_png_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow decodes a PNG to look for EXIF data behind the pixels."""
    buffer = io.BytesIO()
    noise(90, 20).save(buffer, "PNG")

    def decode(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", decode)
    with pytest.raises(RejectedError, match="aspect ratio 4.5"):
        prepare_image(buffer.getvalue(), IngestConfig.model_validate({"image_size": 32}))
