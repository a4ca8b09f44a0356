"""Writes an image set in formats of other tools, byte for byte reproducible.

folder      CLASS/NUMBER.png and metadata.csv (file_name and labels): Hugging Face's imagefolder, Keras, torchvision
webdataset  train-000000.tar, ...: per image KEY.png, KEY.json (labels) and, with one label column, KEY.cls (number)
tfds        TFRecord files with the metadata by which tfds.builder_from_directory(FOLDER) reads them
coco        images/NUMBER.png and annotations.json: a category per class, a box around the whole image per label
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from faceforge.data.imageset.reader import ImageSet, Record
from faceforge.export.export import sheet_name
from faceforge.files import safe_name
from faceforge.synthesis.options import Format

SHARD_IMAGES = 10_000  # per tar or TFRecord file


def write_format(images: ImageSet, form: Format, out: Path) -> None:
    """Writes the train split of an image set in another format to the new folder `out`."""
    out.mkdir(parents=True)
    _WRITERS[form](images, out)


def _records(images: ImageSet) -> Iterator[tuple[str, Record]]:
    """Records with their zero-padded number as name."""
    digits = max(len(str(images.info.counts["train"].total)), 6)
    for number, record in enumerate(images.records("train")):
        yield f"{number:0{digits}d}", record


def _shards(images: ImageSet) -> int:
    return -(-images.info.counts["train"].total // SHARD_IMAGES)


def _write_folder(images: ImageSet, out: Path) -> None:
    columns = list(images.info.labels)
    with (out / "metadata.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["file_name", *columns])
        for name, record in _records(images):
            # With one label column its classes are the folders, as tools without metadata support expect.
            class_folder = safe_name(record.labels[columns[0]]) if len(columns) == 1 else ""
            folder = class_folder or sheet_name(record.labels) or "images"
            (out / folder).mkdir(exist_ok=True)
            (out / folder / f"{name}.png").write_bytes(record.image)
            table.writerow([f"{folder}/{name}.png", *(record.labels[column] for column in columns)])


def _write_webdataset(images: ImageSet, out: Path) -> None:
    vocabularies = images.info.labels
    rows = _records(images)
    for shard in range(_shards(images)):
        with tarfile.open(out / f"train-{shard:06d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, record in islice(rows, SHARD_IMAGES):
                members = {"png": record.image, "json": json.dumps(record.labels, ensure_ascii=False).encode()}
                if len(vocabularies) == 1:
                    ((column, classes),) = vocabularies.items()
                    members["cls"] = str(classes.index(record.labels[column])).encode()
                for suffix, content in members.items():
                    entry = tarfile.TarInfo(
                        f"{name}.{suffix}"
                    )  # no times or owners, so that the bytes are reproducible
                    entry.size = len(content)
                    tar.addfile(entry, io.BytesIO(content))


def _write_coco(images: ImageSet, out: Path) -> None:
    """Written as a stream, so that the annotations of a large set need not fit in memory."""
    size = images.info.image_size
    categories = [
        {"name": name, "supercategory": column} for column, classes in images.info.labels.items() for name in classes
    ]
    ids = {(each["supercategory"], each["name"]): number for number, each in enumerate(categories, 1)}
    box = {"bbox": [0, 0, size, size], "area": size * size, "iscrowd": 0}
    (out / "images").mkdir()
    with (out / "annotations.json").open("w", encoding="utf-8") as stream:
        stream.write('{"info": {"description": "synthetic images made by FaceForge"}, "licenses": [],\n"categories": ')
        json.dump([{"id": number, **each} for number, each in enumerate(categories, 1)], stream)
        stream.write(',\n"images": [')
        for number, (name, record) in enumerate(_records(images), 1):
            (out / "images" / f"{name}.png").write_bytes(record.image)
            entry = {"id": number, "file_name": f"{name}.png", "width": size, "height": size}
            stream.write((",\n" if number > 1 else "\n") + json.dumps(entry))
        stream.write('],\n"annotations": [')
        written = 0
        for number, record in enumerate(images.records("train", images=False), 1):
            for pair in record.labels.items():
                written += 1
                entry = {"id": written, "image_id": number, "category_id": ids[pair], **box}
                stream.write((",\n" if written > 1 else "\n") + json.dumps(entry))
        stream.write("]}\n")


def _write_tfds(images: ImageSet, out: Path) -> None:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    info, name = images.info, "faceforge_synthetic"
    shards = _shards(images)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(info.image_size, info.image_size, info.channels)),
            **{column: tfds.features.ClassLabel(names=classes) for column, classes in info.labels.items()},
        }
    )
    codes = {column: {name: code for code, name in enumerate(classes)} for column, classes in info.labels.items()}
    rows = images.records("train")
    lengths: list[int] = []
    sizes: list[int] = []
    for shard in range(shards):
        path = out / f"{name}-train.tfrecord-{shard:05d}-of-{shards:05d}"
        lengths.append(0)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in islice(rows, SHARD_IMAGES):
                example_features = {"image": _bytes(record.image)}
                example_features |= {column: _number(codes[column][record.labels[column]]) for column in codes}
                # Sorted as TFDS does it: protocol buffers leave the order of map entries undefined.
                example = tf.train.Example(features=tf.train.Features(feature=dict(sorted(example_features.items()))))
                writer.write(example.SerializeToString(deterministic=True))
                lengths[-1] += 1
        sizes.append(path.stat().st_size)
    split = tfds.core.SplitInfo(
        name="train",
        shard_lengths=lengths,
        num_bytes=sum(sizes),
        filename_template=tfds.core.ShardedFileTemplate(
            data_dir=out, template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}", dataset_name=name
        ),
    )
    tfds.folder_dataset.write_metadata(
        data_dir=out,
        features=features,
        split_infos=[split],
        version="1.0.0",
        description="Synthetic images made by FaceForge.",
        check_data=False,
    )


def _bytes(value: bytes) -> object:
    import tensorflow as tf

    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _number(value: int) -> object:
    import tensorflow as tf

    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


_WRITERS: dict[Format, Callable[[ImageSet, Path], None]] = {
    "folder": _write_folder,
    "webdataset": _write_webdataset,
    "tfds": _write_tfds,
    "coco": _write_coco,
}
