"""What a file is that cannot be read as images, and what to do about it."""

from __future__ import annotations

from pathlib import Path

from faceforge.data.sources.files import LFS_ADVICE

_LFS = b"version https://git-lfs.github.com/spec/"
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (_LFS, LFS_ADVICE),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it and name the folder"),
    (b"Rar!\x1a\x07", "a RAR archive; unpack it and name the folder"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard; unpack it and name the folder"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file; save its images as an .npz file of uint8 arrays"),
    (b"MATLAB", "a MATLAB file; save its images as an .npz file of uint8 arrays"),
    (b"%PDF", "a PDF document; extract its images into a folder"),
    (b"SQLite format 3", "an SQLite database; export its images into a folder"),
    (b"ARROW1", "an Arrow file; name the folder that save_to_disk has written"),
    (b"\x80\x02", "a Python pickle, which could run code; save its images as an .npz file of uint8 arrays"),
    (b"\x80\x03", "a Python pickle, which could run code; save its images as an .npz file of uint8 arrays"),
    (b"\x80\x04", "a Python pickle, which could run code; save its images as an .npz file of uint8 arrays"),
    (b"\x80\x05", "a Python pickle, which could run code; save its images as an .npz file of uint8 arrays"),
)
_TABLES = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".xml"}


def describe_file(path: Path) -> str:
    """What a file is, by its first bytes and its name, with advice."""
    with path.open("rb") as stream:
        head = stream.read(64)
    for signature, description in _SIGNATURES:
        if head.startswith(signature):
            return description
    if not head:
        return "empty"
    if "tfrecord" in path.name.lower():
        return "a TFRecord file; name the folder with its features.json and dataset_info.json"
    if path.suffix.lower() in _TABLES:
        return "a table or text; name the folder of the images as the source, and this file with --labels"
    return "not Parquet, zip, tar, npz, npy or idx; name the folder that holds the images"
