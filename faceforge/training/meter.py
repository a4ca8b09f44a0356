"""Means of the steps' metrics and the training rate, for each point of the curves."""

from __future__ import annotations

from typing import Any


class Meter:
    """Collects sums of metrics without waiting for the device; reads them when a point of the curves is due.

    Attributes:
        note: the latest losses, for a progress bar.

    Args:
        flops: floating-point operations per training image.
        peak: peak operations per second of all devices; 0 if unknown.
        seconds: training time before the first step.
    """

    def __init__(self, flops: float, peak: float, seconds: float) -> None:
        self._flops, self._peak = flops, peak
        self.note = ""
        self._reset(seconds)

    def add(self, totals: dict[str, Any], steps: int, batch_size: int) -> None:
        """Takes the metric sums of a dispatch of `steps` steps.

        Waits for the previous dispatch to finish, so that the host never queues many of them.
        """
        if self._totals:
            float(self._totals[-1]["skipped"])
        self._totals.append(totals)
        self._steps += steps
        self._images += steps * batch_size

    def read(self, seconds: float) -> dict[str, float]:
        """Means since the last reading, each over the steps that have the metric, and the rate.

        Args:
            seconds: training time so far.
        """
        sums = {name: sum(float(totals[name]) for totals in self._totals) for name in self._totals[0]}
        penalised = sums.pop("penalised")
        penalties = {name: sums.pop(name) for name in list(sums) if name.startswith("penalty/")}
        skipped = sums.pop("skipped")
        point = {"skipped": skipped / self._steps}
        if skipped < self._steps:
            point |= {name: value / (self._steps - skipped) for name, value in sums.items()}
            self.note = f"loss G {point['loss/generator']:.3f} D {point['loss/discriminator']:.3f}"
        if penalised:
            point |= {name: value / penalised for name, value in penalties.items()}
        rate = self._images / max(seconds - self._since, 1e-9)
        point |= {"throughput/images_per_second": rate, "throughput/tflops": rate * self._flops / 1e12}
        if self._peak:
            point["throughput/mfu"] = rate * self._flops / self._peak
        self._reset(seconds)
        return point

    def _reset(self, seconds: float) -> None:
        self._totals: list[dict[str, Any]] = []
        self._steps, self._images, self._since = 0, 0, seconds
