"""Measurements in Prometheus' terms, in one registry that belongs to one application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
SECONDS_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Collector(Protocol):
    """Something that knows its own numbers and tells them when asked."""

    def collect(self) -> Iterable[Metric]:
        """The metrics as of now."""
        ...


class Metrics:
    """A registry and what fills it. All names begin with `gifty_`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def counter(self, name: str, says: str, labels: Sequence[str] = ()) -> Counter:
        """A number that only grows."""
        return Counter(_prefixed(name), says, labels, registry=self._registry)

    def gauge(
        self, name: str, says: str, labels: Sequence[str] = (), *, reads: Callable[[], float] | None = None
    ) -> Gauge:
        """A number that goes up and down; with `reads` it is looked up whenever it is asked for."""
        gauge = Gauge(_prefixed(name), says, labels, registry=self._registry)
        if reads is not None:
            gauge.set_function(reads)
        return gauge

    def histogram(
        self, name: str, says: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = SECONDS_BUCKETS
    ) -> Histogram:
        """How values spread."""
        return Histogram(_prefixed(name), says, labels, buckets=buckets, registry=self._registry)

    def register(self, collector: Collector) -> None:
        """Adds something that tells its own numbers."""
        self._registry.register(collector)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self._registry)


def _prefixed(name: str) -> str:
    return name if name.startswith("gifty_") else f"gifty_{name}"
