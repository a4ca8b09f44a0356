"""What a server takes on, so that no client can exhaust it."""

from __future__ import annotations

from dataclasses import dataclass

MAX_IMAGES = 256  # per request
MAX_UPLOADS = 16  # files per request
JSON_BYTES = 256 * 2**10
UPLOAD_BYTES = 16 * 2**20  # all files of a request together
UPLOAD_PIXELS = 25_000_000  # per file: phones' photographs, not posters
DECODERS = 2  # uploads decoded at a time; each may need some 100 MB


@dataclass(frozen=True)
class Limits:
    """What differs from one installation to the next.

    Attributes:
        queue: requests in work or waiting; beyond that clients are told to come back (429).
        batch: images per call of the network; concurrent requests are served together up to that. 1 = one by one.
        timeout: seconds until a request is given up.
    """

    queue: int = 64
    batch: int = 256
    timeout: float = 30.0
