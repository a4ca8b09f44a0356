"""What the documentation assumes: photographs, tables, a registry. Everything is drawn here and small."""

from __future__ import annotations

import csv
import shutil
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from faceforge.data.sources.toyfaces import EXPRESSIONS, draw_toyfaces

COUNT = 320
AGES = (7, 16, 31, 47, 66)
GENDERS = ("woman", "man")
GROUPS = ("0-12", "13-24", "25-39", "40-59", "60+")


def photographs(size: int = 96) -> list[Image.Image]:
    """Drawn faces in place of photographs."""
    return [Image.fromarray(image) for image in draw_toyfaces(COUNT, size, seed=3)[0]]


def facts(number: int) -> dict[str, str | int]:
    """Labels of one photograph."""
    age = number % len(AGES)
    return {"gender": GENDERS[number % 2], "age": AGES[age], "age_group": GROUPS[age]}


def write_photos(folder: Path, table: str) -> None:
    """`folder` with JPEG files and a table of their labels."""
    folder.mkdir()
    with (folder / table).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["file_name", "gender", "age", "age_group"])
        writer.writeheader()
        for number, image in enumerate(photographs()):
            image.save(folder / f"{number:04d}.jpg", quality=95)
            writer.writerow({"file_name": f"{number:04d}.jpg", **facts(number)})


def write_parquet(path: Path) -> None:
    """A Parquet file with images and labels."""
    import io

    import pandas as pd

    rows = []
    for number, image in enumerate(photographs(48)):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        rows.append({"image": {"bytes": buffer.getvalue(), "path": f"{number}.png"}, **facts(number)})
    pd.DataFrame(rows).drop(columns="age").to_parquet(path)


def write_sources(folder: Path) -> None:
    """The sources that docs/data.md names, in their published layouts."""
    write_photos(folder / "photos", "people.csv")
    images = photographs()
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for path in sorted((folder / "photos").glob("*.jpg")):
            archive.write(path, f"{GENDERS[int(path.stem) % 2]}/{path.name}")
    people, named = folder / "lfw", folder / "UTKFace"
    named.mkdir()
    for number, image in enumerate(images):
        person = people / f"Person_{number // 5:02d}"
        person.mkdir(parents=True, exist_ok=True)
        image.save(person / f"{person.name}_{number % 5:04d}.jpg")
        image.save(named / f"{AGES[number % 5]}_{number % 2}_{number % 3}_{20170109142408000 + number}.jpg")
    _write_celeba(folder / "CelebA", images)


def _write_celeba(folder: Path, images: list[Image.Image]) -> None:
    columns = ("Smiling", "Eyeglasses", "Male")
    faces = folder / "img_align_celeba"
    faces.mkdir(parents=True)
    lines = [str(len(images)), " ".join(columns)]
    for number, image in enumerate(images, 1):
        image.resize((178, 218)).save(faces / f"{number:06d}.jpg")
        lines.append(f"{number:06d}.jpg " + " ".join("1" if number % (place + 2) else "-1" for place in range(3)))
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")


def write_home(folder: Path) -> None:
    """A home folder with photographs in several forms."""
    write_photos(folder / "photos", "labels.csv")
    write_parquet(folder / "faces.parquet")
    images, codes = draw_toyfaces(1, 64)
    Image.fromarray(images[0]).save(folder / "me.jpg")
    assert EXPRESSIONS[codes[0, 0]]


def reuse(one: Path, other: Path) -> None:
    """Copies a folder unless it is there."""
    if not other.exists():
        shutil.copytree(one, other)


def noise(count: int, size: int = 32) -> np.ndarray:
    """Images uint8 (count, size, size, 3) of noise, as `images` in Python examples."""
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)
