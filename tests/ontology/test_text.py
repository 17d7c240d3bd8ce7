from hypothesis import given
from hypothesis import strategies as st

from gifty.ontology.text import MAX_TEXT, fold
from tests.fixtures.knowledge import shipped_ontology


def lemmas(text: str) -> list[str]:
    return shipped_ontology().language.lemmas(text)


def test_word_forms_meet_in_one_lemma():
    assert lemmas("Заварочных чайников") == lemmas("заварочный чайник")
    assert lemmas("running shoes") == lemmas("run shoe")


def test_yo_is_ye():
    assert lemmas("ёлка") == lemmas("елка")


def test_latin_look_alikes_in_a_cyrillic_word_are_mended():
    assert lemmas("cвитер") == ["свитер"]


def test_hyphens_join_and_punctuation_parts():
    tokens = shipped_ontology().language.tokens("робот-пылесос, щётка (новая)")
    assert [token.joined for token in tokens] == [False, True, False, False]
    assert [token.segment for token in tokens] == [0, 0, 1, 2]


def test_a_dictionary_form_stands_for_itself():
    language = shipped_ontology().language
    assert language.dictionary_forms("духи") == ("духи",)
    assert "носок" in language.dictionary_forms("носки")


@given(st.text(max_size=300))
def test_any_text_can_be_read(text):
    for token in shipped_ontology().language.tokens(text):
        assert token.text
        assert token.word.lemmas


def test_only_the_beginning_of_an_endless_text_is_read():
    assert len(fold("а" * 1_000_000)) == MAX_TEXT
