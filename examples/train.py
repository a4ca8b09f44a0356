"""A whole training in one file: an image set in, a judged model and new faces out.

    python examples/train.py                                     # drawn faces, some minutes on two CPU cores
    python examples/train.py photos/ --preset faces64 --labels gender,age_group --set train.kimg=100

Interrupted, the same command goes on where it was. Expect of the toy preset: label agreement above 0.9, and faces in
`example/faces.png` whose expression is plain to see.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from faceforge import Generator
from faceforge.data.overview.contact_sheet import image_grid, save_png
from faceforge.steps import steps


def main() -> None:
    """Ingest, augment, train, evaluate, generate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="toyfaces", help="see docs/data.md")
    parser.add_argument("--labels", default="", help="label columns, a,b")
    parser.add_argument("--preset", default="toy")
    parser.add_argument("--set", dest="settings", default="", help='"section.field=value, ..."')
    parser.add_argument("--out", type=Path, default=Path("example"))
    options = parser.parse_args()
    recipe = (options.preset, options.settings)

    with steps.guarded():  # mistakes end in one line
        out: Path = options.out
        steps.ingest(options.source, options.labels, *recipe, out / "data", tracking=None)
        steps.augment(out / "data", *recipe, out / "augmented", tracking=None)
        model = steps.train(out / "augmented", *recipe, out / "model", checkpoints="", tracking=None)
        steps.evaluate(model, out / "data", *recipe, out / "report", model_name="", tracking=None)
        print((out / "report" / "summary.txt").read_text())

        samples = Generator.load(model).generate(num_images=64, seed=1)
        save_png(out / "faces.png", image_grid(samples.images, 8, pad=1))
        print(f"model: {model}\nfaces: {out / 'faces.png'}")


if __name__ == "__main__":
    main()
