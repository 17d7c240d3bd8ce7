import subprocess
import sys


def explain(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gifty.ontology.explain", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_a_title_is_explained():
    told = explain("Ваза керамическая с котиком", "--category", "Дом")
    assert "kind        vase" in told
    assert "cats" in told


def test_the_knowledge_is_checked():
    assert "interests" in explain("--check")


def test_unknown_titles_are_listed(tmp_path):
    titles = tmp_path / "titles.txt"
    titles.write_text("Ваза керамическая\nqwrtz plmkj\n")
    assert explain("--unknown", str(titles)) == "qwrtz plmkj\n"
