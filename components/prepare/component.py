"""Source -> one share of its images, prepared; `merge` writes one image set from all shares."""

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
    """Decode, check, crop and resize the images of one share: the work that needs no other share."""
    from pathlib import Path

    from faceforge.errors import guarded
    from faceforge.steps.ingest import run_prepare

    with guarded():
        run_prepare(
            source=source,
            labels=labels or None,
            preset=preset,
            settings=settings,
            share=int(share),  # kfp passes integers of a list as floats
            shares=int(shares),
            out=Path(prepared.path),
        )
