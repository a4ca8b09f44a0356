"""Names as MLflow accepts them."""

from __future__ import annotations

import hashlib
import re

from faceforge.files import shortened

_MOST_BYTES = 250


def metric_name(name: str) -> str:
    """A metric's name as MLflow accepts it: at most 250 bytes, `_` in place of refused characters.

    Class names in it come from users: a changed name ends with a part of the SHA-256 of the whole one, so that
    different names stay different. Colons are replaced too: MLflow on Windows refuses them.
    """
    changed = re.sub(r"[^\w.\-/ ]", "_", name)
    digest = "" if changed == name else f"-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
    return shortened(changed + digest, _MOST_BYTES)
