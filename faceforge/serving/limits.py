"""Limits on requests, so that no client can exhaust the server."""

from __future__ import annotations

from dataclasses import dataclass

MAX_IMAGES = 256  # per request
MAX_UPLOADS = 16  # files per request
JSON_BYTES = 256 * 2**10
UPLOAD_BYTES = 16 * 2**20  # all files of a request together
UPLOAD_PIXELS = 25_000_000  # per file: photographs of phones pass
DECODERS = 2  # uploads decoded at a time; each may need about 100 MB


@dataclass(frozen=True)
class Limits:
    """Limits that differ between installations.

    Attributes:
        queue: requests in progress or waiting; further ones get 429.
        batch: images per call of the network, shared by concurrent requests; 1 = no sharing.
        timeout: seconds per request.
    """

    queue: int = 64
    batch: int = 256
    timeout: float = 30.0
