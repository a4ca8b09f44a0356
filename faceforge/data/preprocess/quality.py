"""Quality filters: each rejects an image for one measured value and names the value and the limit."""

from __future__ import annotations

from faceforge.config import IngestConfig
from faceforge.data.preprocess.decode import RejectedError


def check_aspect(size: tuple[int, int], config: IngestConfig) -> None:
    """Rejects a source image of `size` (width, height) whose aspect ratio is above `max_aspect`."""
    aspect = max(size) / max(min(size), 1)
    if aspect > config.max_aspect:
        raise RejectedError(
            f"aspect ratio {aspect:.1f} ({size[0]} x {size[1]}), above ingest.max_aspect {config.max_aspect:g}"
        )


def check_edge(edge: float, config: IngestConfig) -> None:
    """Rejects a crop whose edge, in source pixels, is below `min_edge`."""
    if edge < config.min_edge:
        raise RejectedError(f"only {edge:.0f} px wide where cropped, below ingest.min_edge {config.min_edge}")


def check_contrast_and_sharpness(contrast: float, sharpness: float, config: IngestConfig) -> None:
    """Rejects an image that is nearly one colour (`min_contrast`) or blurred (`min_sharpness`).

    Args:
        contrast, sharpness: as in `measures.Measures`.
        config: the limits.
    """
    if contrast < config.min_contrast:
        raise RejectedError(f"uniform: contrast {contrast:.4f}, below ingest.min_contrast {config.min_contrast:g}")
    if sharpness < config.min_sharpness:
        raise RejectedError(f"blurred: sharpness {sharpness:.1f}, below ingest.min_sharpness {config.min_sharpness:g}")
