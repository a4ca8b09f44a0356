"""Names as MLflow accepts them."""

from __future__ import annotations

import re


def metric_name(name: str) -> str:
    """A metric's name with `_` in place of characters that MLflow refuses; class names in it come from users.

    Colons are replaced too: MLflow on Windows refuses them.
    """
    return re.sub(r"[^\w.\-/ ]", "_", name)
