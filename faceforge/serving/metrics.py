"""Prometheus metrics of a server."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

PATHS = ("/v1/generate", "/v1/interpolate", "/v1/discriminate", "/v1/model", "/healthz", "/readyz", "/metrics")


class Metrics:
    """Metrics of one server; `text()` returns them in the Prometheus text format."""

    def __init__(self, in_progress: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        seconds = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
        self._requests = Counter("faceforge_requests", "Requests answered", ["path", "status"], registry=self._registry)
        self._seconds = Histogram(
            "faceforge_request_seconds", "Time to answer", ["path"], buckets=seconds, registry=self._registry
        )
        self._batches = Histogram(
            "faceforge_batch_images",
            "Images per call of the network",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self._registry,
        )
        self._loads = Counter("faceforge_model_loads", "Attempts to load a model", ["result"], registry=self._registry)
        queue = Gauge("faceforge_requests_in_hand", "Requests in progress or waiting", registry=self._registry)
        queue.set_function(in_progress)
        for result in ("success", "failure"):
            self._loads.labels(result)  # exported as zero from the start

    def request(self, path: str, status: int, seconds: float) -> None:
        """Counts a finished request; unknown paths share one label, so that clients cannot grow the memory."""
        path = path if path in PATHS else "other"
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, images: int) -> None:
        """Counts a call of the network."""
        self._batches.observe(images)

    def load(self, success: bool) -> None:
        """Counts an attempt to load a model."""
        self._loads.labels("success" if success else "failure").inc()

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self._registry)
