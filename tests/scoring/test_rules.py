from gifty.catalog.profile_models import GiftProfile, UnscoredGift
from gifty.ontology.models import AXES
from gifty.scoring.rules import RulesScorer
from tests.fixtures.knowledge import shipped_ontology


def profile(title: str, category: str | None = None, *, is_idea: bool = False, has_image: bool = True) -> GiftProfile:
    gift = UnscoredGift("gft_1", title, category, "", None, None, has_image, is_idea, {}, b"hash")
    return RulesScorer(shipped_ontology()).profile(gift)


def test_a_gift_stands_far_above_a_part():
    vase = profile("Керамическая ваза ручной работы")
    part = profile("Запасной фильтр для увлажнителя воздуха, 5 шт")
    assert vase.giftability > 0.4
    assert part.giftability < 0.15


def test_parts_of_cars_are_hardly_gifts():
    assert profile("Топливный насос для Toyota Corolla 2008-2012", "Автозапчасти").giftability <= 0.05


def test_trade_packs_are_no_gifts():
    assert profile("Керамическая ваза 100 шт").giftability < 0.5 * profile("Керамическая ваза").giftability


def test_an_idea_stands_behind_a_product_of_its_kind():
    assert profile("Керамическая ваза", is_idea=True).giftability < profile("Керамическая ваза").giftability


def test_quality_sees_pictures_and_titles():
    assert profile("Керамическая ваза").quality > profile("Керамическая ваза", has_image=False).quality
    stuffed = (
        "ваза, декор, подарок, новинка, дом, интерьер, стиль, цветы, праздник, кухня, офис, гостиная, спальня, 2025"
    )
    assert profile(f"Керамическая {stuffed}, {stuffed}").quality < profile("Керамическая ваза").quality


def test_the_matrix_has_ten_axes_within_bounds():
    axes = profile("Женская сумка из натуральной кожи").axes
    assert len(axes) == len(AXES)
    assert all(0 <= value <= 1 for value in axes)
    assert axes[AXES.index("gender_bias")] == 1.0


def test_what_the_title_names_is_filed_as_motifs():
    motifs = profile("Кружка с котиком Star Wars, рождественская").motifs
    assert {"cats", "star_wars", "franchise:star_wars", "theme:christmas"} <= set(motifs)


def test_scoring_is_deterministic_and_versioned_by_the_knowledge():
    assert profile("Керамическая ваза") == profile("Керамическая ваза")
    scorer = RulesScorer(shipped_ontology())
    assert 0 < scorer.version < 2**31
