"""Source -> one share of its images, prepared; `merge` makes an image set of all shares."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, packages_to_install=[], install_kfp_package=False)
def prepare(
    source: str,
    labels: str,
    preset: str,
    settings: str,
    share: int,
    shares: int,
    prepared: dsl.Output[dsl.Dataset],
) -> None:
    """Decode, check, crop and resize the images of a share; everything that needs no other share."""
    from pathlib import Path

    from faceforge.steps import steps

    with steps.guarded():
        steps.prepare(source, labels, preset, settings, share, shares, Path(prepared.path))
