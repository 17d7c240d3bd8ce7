"""What the HTTP core measures about itself. Plain numbers on the hot path; Prometheus' terms only when asked."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sized
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from gifty.core.metrics import SECONDS_BUCKETS

_LABELS: Final = ("method", "route", "status")
_SAMPLE_SECONDS: Final = 0.25
_REMEMBERED_SAMPLES: Final = 240


class HttpMeasures:
    """Requests by route template and status, how many are being served, and how late the event loop is."""

    def __init__(self, serving: Sized) -> None:
        self._serving = serving
        self.refused = 0
        self.replayed = 0
        self.undocumented = 0
        self._series: dict[tuple[str, str, int], list[float]] = {}
        self._lags: deque[float] = deque(maxlen=_REMEMBERED_SAMPLES)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request is done."""
        key = (method, route, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = [0.0] * (len(SECONDS_BUCKETS) + 2)
        series[bisect_left(SECONDS_BUCKETS, seconds)] += 1
        series[-1] += seconds

    @property
    def lag(self) -> float:
        """Seconds by which the loop was late at the last sample."""
        return self._lags[-1] if self._lags else 0.0

    @property
    def worst_lag(self) -> float:
        """The worst of the last minute, in seconds."""
        return max(self._lags, default=0.0)

    async def sample_lag(self) -> None:
        """Measures how late the loop wakes a sleeper, for ever; its owner cancels it."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _SAMPLE_SECONDS
            await asyncio.sleep(_SAMPLE_SECONDS)
            self._lags.append(max(0.0, loop.time() - due))

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        spread = HistogramMetricFamily("gifty_http_request_seconds", "Time to answer.", labels=_LABELS)
        for (method, route, status), series in self._series.items():
            buckets: list[tuple[str, float]] = []
            total = 0.0
            for bound, count in zip((*map(str, SECONDS_BUCKETS), "+Inf"), series[:-1], strict=True):
                total += count
                buckets.append((bound, total))
            spread.add_metric([method, route, str(status)], buckets, series[-1])
        yield spread
        yield GaugeMetricFamily("gifty_http_in_flight", "Requests being served.", len(self._serving))
        yield GaugeMetricFamily("gifty_loop_lag_seconds", "How late the event loop was just now.", self.lag)
        yield GaugeMetricFamily(
            "gifty_loop_lag_worst_seconds", "How late it was at worst in the last minute.", self.worst_lag
        )
        yield CounterMetricFamily("gifty_http_refused", "Requests over a rate limit.", self.refused)
        yield CounterMetricFamily("gifty_http_replayed", "Answers repeated for an idempotency key.", self.replayed)
        yield CounterMetricFamily(
            "gifty_http_undocumented", "Answers with a status that the document lacks.", self.undocumented
        )
