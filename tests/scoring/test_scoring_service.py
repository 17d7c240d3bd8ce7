from actors.runtime import ActorSystem, ChildSpec
from actors.scorer import Scorer
from gifty.core.database import Database
from tests.fixtures.shelf import Good, put, scoring


async def profiles(database: Database) -> dict[str, str]:
    rows = await database.fetch("SELECT g.title, p.kind FROM gift_profiles p JOIN gifts g ON g.id = p.gift_id")
    return {row["title"]: row["kind"] for row in rows}


async def test_every_gift_is_scored_once(database: Database):
    await put(database, [Good("Керамическая ваза"), Good("Термокружка стальная")])
    assert set(await profiles(database)) == {"Керамическая ваза", "Термокружка стальная"}
    assert await scoring(database).score_all() == 0


async def test_a_changed_gift_is_scored_again(database: Database):
    await put(database, [Good("Керамическая ваза с котиком")])
    before = await database.fetchval("SELECT content_hash FROM gift_profiles")
    await put(database, [Good("Керамическая ваза с лисой")])
    assert await database.fetchval("SELECT content_hash FROM gift_profiles") != before
    motifs = {row["motif"] for row in await database.fetch("SELECT motif FROM gift_motifs")}
    assert "cats" not in motifs
    assert "animals" in motifs


async def test_a_changed_price_asks_for_no_new_score(database: Database):
    await put(database, [Good("Керамическая ваза", 1_000)])
    await put(database, [Good("Керамическая ваза", 2_000)])
    assert await scoring(database).score_all() == 0


async def test_what_another_model_judged_is_left_alone_until_the_gift_changes(database: Database):
    await put(database, [Good("Керамическая ваза")])
    await database.execute("UPDATE gift_profiles SET model = 'llm', giftability = 0.123")
    assert await scoring(database).score_all() == 0
    await put(database, [Good("Керамическая ваза большая")])
    assert await database.fetchval("SELECT model FROM gift_profiles") == "rules"


async def test_an_older_version_of_the_rules_is_replaced(database: Database):
    await put(database, [Good("Керамическая ваза")])
    await database.execute("UPDATE gift_profiles SET version = 1, giftability = 0.001")
    assert await scoring(database).score_all() == 1
    assert await database.fetchval("SELECT giftability FROM gift_profiles") > 0.1


async def test_pages_cover_everything(database: Database):
    await put(database, [Good(f"Керамическая ваза номер {number}") for number in range(25)])
    await database.execute("DELETE FROM gift_profiles")
    service, after, stored = scoring(database), "", 0
    while True:
        count, following = await service.score_batch(after, limit=7)
        stored += count
        if following is None:
            break
        after = following
    assert stored == 25


async def test_the_actor_scores_what_it_finds(database: Database):
    await put(database, [Good(f"Керамическая ваза номер {number}") for number in range(3)])
    await database.execute("DELETE FROM gift_profiles")
    system = ActorSystem()
    async with system:
        ref = system.spawn(ChildSpec("scorer", lambda: Scorer(scoring(database))))
        del ref
        for _ in range(200):
            if await database.fetchval("SELECT count(*) FROM gift_profiles") == 3:
                break
    assert len(await profiles(database)) == 3
