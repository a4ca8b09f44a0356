from pathlib import Path

import pytest

from faceforge.compute.precision import choose_precision


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx512f avx512_bf16", "mixed_bfloat16"), ("fpu amx_bf16", "mixed_bfloat16"), ("fpu avx2", "float32")],
)
def test_auto_follows_the_processors_flags(tmp_path: Path, flags: str, expected: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert choose_precision("auto", cpuinfo) == expected
    assert choose_precision("float32", cpuinfo) == "float32"


def test_an_unknown_processor_gets_float32(tmp_path: Path) -> None:
    assert choose_precision("auto", tmp_path / "absent") == "float32"
