"""A whole training in one file: images in, an evaluated model and new faces out.

    python examples/train.py                                     # drawn faces, some minutes on two CPU cores
    python examples/train.py photos/ --preset faces64 --labels gender,age_group --set train.kimg=100

After an interruption, the same command continues. With the toy preset, expect a label agreement above 0.9, and faces in
`example/faces.png` with recognisable expressions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from faceforge import Generator
from faceforge.errors import guarded
from faceforge.steps.augment import run_augment
from faceforge.steps.evaluate import run_evaluate
from faceforge.steps.ingest import run_ingest
from faceforge.steps.train import run_train


def main() -> None:
    """Ingest, augment, train, evaluate, generate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="toyfaces", help="see docs/data.md")
    parser.add_argument("--labels", default="", help="label columns, a,b")
    parser.add_argument("--preset", default="toy")
    parser.add_argument("--set", dest="settings", default="", help='"section.field=value, ..."')
    parser.add_argument("--out", type=Path, default=Path("example"))
    options = parser.parse_args()
    out: Path = options.out
    recipe = {"preset": options.preset, "settings": options.settings, "tracking": None}

    with guarded():  # reports mistakes in one line
        run_ingest(source=options.source, labels=options.labels, out=out / "data", **recipe)
        run_augment(data=out / "data", out=out / "augmented", **recipe)
        model = run_train(data=out / "augmented", work=out / "model", **recipe)
        run_evaluate(bundle=model, data=out / "data", out=out / "report", **recipe)
        print((out / "report" / "summary.txt").read_text())

        faces = Generator.load(model).generate(64, seed=1).save(out / "faces.png")
        print(f"model: {model}\nfaces: {faces}")


if __name__ == "__main__":
    main()
