"""Generated images: select, show and save them."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceforge.data.overview.contact_sheet import image_grid
from faceforge.errors import FaceForgeError
from faceforge.files import atomic_file, atomic_folder

SHEET_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_OTHER_FORMATS = (".gif", ".bmp", ".tif", ".tiff", ".pdf", ".npy", ".npz")  # not taken for names of folders
MAX_ON_SHEET = 1024
SHOWN = 64  # images of many that a notebook or a window shows
_CELL = 96  # pixels: smaller images are enlarged to at least this edge on a contact sheet
_GAP = 2  # white pixels between the images of a contact sheet


@dataclass(frozen=True, repr=False)
class Samples:
    """Generated images with their labels and latents.

    Notebooks show them as a contact sheet.

    Attributes:
        images: uint8 (N, H, W, C).
        labels: label column -> N classes; empty for an unconditional model.
        latents: float32 (N, Z), after truncation; the input of `edit` and `interpolate`.
    """

    images: NDArray[np.uint8]
    labels: dict[str, list[str]]
    latents: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: int | slice | Sequence[int]) -> Samples:
        """A subset of the samples: `samples[3]`, `samples[:4]`, `samples[[3, 7]]`."""
        chosen = np.atleast_1d(np.arange(len(self))[rows])
        labels = {column: [classes[row] for row in chosen] for column, classes in self.labels.items()}
        return Samples(self.images[chosen], labels, self.latents[chosen])

    def __repr__(self) -> str:
        """One line: number and size of the images, and how many there are of each class."""
        height, width, channels = self.images.shape[1:]
        counts = (
            f"{column}: " + ", ".join(f"{name} {count}" for name, count in Counter(classes).items())
            for column, classes in self.labels.items()
        )
        colour = "grey" if channels == 1 else "RGB"
        return f"<{'; '.join([f'{len(self)} samples of {width} x {height} px, {colour}', *counts])}>"

    def sheet(self, columns: int | None = None) -> NDArray[np.uint8]:
        """A contact sheet of all samples, row by row, uint8 (H, W, C); small images are enlarged.

        Args:
            columns: images per row; default: about as many as there are rows.

        Raises:
            FaceForgeError: no samples, or more than 1,024.
        """
        if not 0 < len(self) <= MAX_ON_SHEET:
            raise FaceForgeError(
                f"a contact sheet shows 1 to {MAX_ON_SHEET:,} images, these are {len(self):,}; "
                "take some (samples[:64]) or save into a folder"
            )
        scale = max(1, _CELL // self.images.shape[1]) if len(self) <= SHOWN else 1
        images = self.images.repeat(scale, axis=1).repeat(scale, axis=2)
        return image_grid(images, columns or math.ceil(math.sqrt(len(self))), _GAP)

    def save(self, path: str | Path) -> Path:
        """Saves all samples as one contact sheet (`faces.png`) or as single files in a folder (`faces`).

        Args:
            path: an image file (.png, .jpg, .jpeg, .webp), or a folder, which gets `00000.png`, `00001.png`, ... and
                `metadata.csv` with their labels. A file is replaced; a folder must be new or empty.

        Returns:
            The path.

        Raises:
            FaceForgeError: an unknown image format, a folder with content, or too many images for one sheet.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix in _OTHER_FORMATS:
            raise FaceForgeError(f"{path}: samples are saved as {', '.join(SHEET_FORMATS)}, or into a folder")
        if suffix in SHEET_FORMATS:
            sheet = _pillow(self.sheet())
            with atomic_file(path) as partial:
                sheet.save(partial, SHEET_FORMATS[suffix])
        else:
            self._save_folder(path)
        return path

    def show(self) -> None:
        """Shows a contact sheet of the first 64 samples: in the notebook, else in the system's image viewer."""
        if _in_notebook():
            from IPython.display import display

            display(self)
        elif len(self):
            _pillow(self[:SHOWN].sheet()).show()

    def _repr_png_(self) -> bytes | None:
        """What notebooks show: a contact sheet of the first 64 samples."""
        if not len(self):
            return None
        buffer = io.BytesIO()
        _pillow(self[:SHOWN].sheet()).save(buffer, "PNG")
        return buffer.getvalue()

    def _save_folder(self, folder: Path) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FaceForgeError(f"{folder} exists and is not an empty folder; choose another name")
        names = [f"{number:05d}.png" for number in range(len(self))]
        with atomic_folder(folder) as partial:
            for name, image in zip(names, self.images, strict=True):
                _pillow(image).save(partial / name)
            with (partial / "metadata.csv").open("w", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream)
                writer.writerow(["file_name", *self.labels])
                writer.writerows(zip(names, *self.labels.values(), strict=True))


def _in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel, which can show images."""
    return "IPython" in sys.modules and hasattr(sys.modules["IPython"].get_ipython(), "kernel")


def _pillow(image: NDArray[np.uint8]) -> Image.Image:
    """A Pillow image of uint8 (H, W, 1 or 3)."""
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
