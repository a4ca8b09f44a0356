"""What a picture must be like to be learned from: each refusal names the measured value and the limit."""

from __future__ import annotations

from faceforge.config import IngestConfig
from faceforge.data.preprocess.decode import RejectedError


def check_source(size: tuple[int, int], config: IngestConfig) -> None:
    """Refuses a source picture for its proportions.

    Args:
        size: width and height in pixels.
        config: `max_aspect`.

    Raises:
        RejectedError: too long for its width, or the other way round.
    """
    aspect = max(size) / max(min(size), 1)
    if aspect > config.max_aspect:
        raise RejectedError(
            f"aspect ratio {aspect:.1f} ({size[0]} x {size[1]}), above ingest.max_aspect {_short(config.max_aspect)}"
        )


def check_edge(edge: float, config: IngestConfig) -> None:
    """Refuses a crop that is `edge` source pixels wide where that is too few (`min_edge`)."""
    if edge < config.min_edge:
        raise RejectedError(f"only {edge:.0f} px wide where cropped, below ingest.min_edge {config.min_edge}")


def check_look(contrast: float, sharpness: float, config: IngestConfig) -> None:
    """Refuses what is nearly one colour (`min_contrast`) or blurred (`min_sharpness`); see `prepare.Measures`."""
    if contrast < config.min_contrast:
        raise RejectedError(
            f"uniform: contrast {contrast:.4f}, below ingest.min_contrast {_short(config.min_contrast)}"
        )
    if sharpness < config.min_sharpness:
        raise RejectedError(
            f"blurred: sharpness {sharpness:.1f}, below ingest.min_sharpness {_short(config.min_sharpness)}"
        )


def _short(limit: float) -> str:
    return f"{limit:g}"
