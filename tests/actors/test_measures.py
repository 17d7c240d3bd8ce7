import asyncio
from dataclasses import dataclass

from aiohttp.test_utils import TestClient

from actors.measures import ActorMeasures
from actors.runtime import Actor, ActorSystem, ChildSpec, group, handles
from gifty.core.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Say:
    word: str


class Listener(Actor):
    @handles(Say)
    async def say(self, message: Say) -> None:
        if message.word == "boo":
            raise ValueError(message.word)


async def test_the_figures_of_every_actor_are_told_by_path() -> None:
    metrics = Metrics()
    async with ActorSystem() as system:
        metrics.register(ActorMeasures(system))
        system.spawn(group("house", ChildSpec("listener", Listener)))
        await system.settled(timeout=5)
        listener = system.ref("/house/listener")
        for word in ("hello", "boo", "bye"):
            await listener.tell(Say(word))
        wanted = {
            'gifty_actor_handled_total{path="/house/listener"} 2.0',
            'gifty_actor_failed_total{path="/house/listener"} 1.0',
            'gifty_actor_restarts_total{path="/house/listener"} 1.0',
            'gifty_actor_mailbox_depth{path="/house/listener"} 0.0',
            'gifty_actor_state{path="/house/listener",state="running"} 1.0',
            'gifty_actor_state{path="/house",state="running"} 1.0',
            "gifty_dead_letters_total 1.0",
        }
        async with asyncio.timeout(5):
            while not wanted <= set(metrics.render().decode().splitlines()):
                await asyncio.sleep(0.01)


async def test_the_application_tells_the_figures_of_its_actors(client: TestClient) -> None:
    text = await (await client.get("/metrics")).text()
    for path in ("/catalogue/embedder", "/catalogue/scorer", "/operations/postmaster"):
        assert f'gifty_actor_p95_seconds{{path="{path}"}}' in text
