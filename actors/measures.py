"""What an actor system measures about itself, in Prometheus' terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from actors.runtime import ActorSnapshot, ActorSystem

_BY_PATH: Final = ("path",)


class ActorMeasures:
    """The figures of every actor by its path, as of the moment they are asked for; costs nothing in between."""

    def __init__(self, system: ActorSystem) -> None:
        self._system = system

    def collect(self) -> Iterable[Metric]:
        """For the registry."""
        state = GaugeMetricFamily("gifty_actor_state", "1 for the state it is in.", labels=("path", "state"))
        depth = GaugeMetricFamily("gifty_actor_mailbox_depth", "Messages that wait.", labels=_BY_PATH)
        late = GaugeMetricFamily("gifty_actor_p95_seconds", "95 % of its last messages took less.", labels=_BY_PATH)
        handled = CounterMetricFamily("gifty_actor_handled", "Messages handled.", labels=_BY_PATH)
        failed = CounterMetricFamily("gifty_actor_failed", "Lives that ended in an error.", labels=_BY_PATH)
        restarts = CounterMetricFamily("gifty_actor_restarts", "Fresh starts after a failure.", labels=_BY_PATH)
        for actor in _below(self._system.tree()):
            state.add_metric([actor.path, actor.state.value], 1)
            depth.add_metric([actor.path], actor.mailbox_depth)
            late.add_metric([actor.path], actor.p95_ms / 1000)
            handled.add_metric([actor.path], actor.handled)
            failed.add_metric([actor.path], actor.failed)
            restarts.add_metric([actor.path], actor.restarts)
        yield from (state, depth, late, handled, failed, restarts)
        yield CounterMetricFamily("gifty_dead_letters", "Messages that nobody could handle.", self._system.buried)


def _below(actor: ActorSnapshot) -> Iterator[ActorSnapshot]:
    for child in actor.children:
        yield child
        yield from _below(child)
