"""What Gifty reads out of a title: an aid for authors of the knowledge files.

python -m gifty.ontology.explain "Чехол для телефона с котиком" [--category "Электроника"]
python -m gifty.ontology.explain --check
python -m gifty.ontology.explain --unknown titles.txt
"""

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

from gifty.ontology.loader import Ontology, OntologyError, load_ontology
from gifty.ontology.reader import Reader


def main() -> int:
    """Runs the aid; 1 when the knowledge has problems."""
    parser = argparse.ArgumentParser(prog="python -m gifty.ontology.explain", description=__doc__)
    parser.add_argument("title", nargs="?", help="a product title to read")
    parser.add_argument("--category", help="the shop's category of that product")
    parser.add_argument("--check", action="store_true", help="check the knowledge files and show forms claimed twice")
    parser.add_argument("--unknown", type=Path, metavar="FILE", help="print the lines of FILE whose kind is not known")
    args = parser.parse_args()
    write = sys.stdout.write
    try:
        ontology = load_ontology()
    except OntologyError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    reader = Reader(ontology)
    if args.check:
        write(_check(ontology))
    if args.unknown:
        for line in args.unknown.read_text().splitlines():
            if reader.read(line).kind is None:
                write(line + "\n")
    if args.title:
        write(_explain(reader, args.title, args.category))
    return 0


def _check(ontology: Ontology) -> str:
    claimed: dict[str, set[str]] = defaultdict(set)
    for key, forms in ontology.forms.items():
        if key.startswith("kind:"):
            for form in forms:
                claimed[" ".join(sorted(ontology.language.lemmas(form)))].add(key.removeprefix("kind:"))
    twice = [f"  {form}: {', '.join(sorted(kinds))}" for form, kinds in sorted(claimed.items()) if len(kinds) > 1]
    sizes = Counter(kind.domain for kind in ontology.kinds.values())
    unmet = [i for i in ontology.interests if not any(i in kind.interests for kind in ontology.kinds.values())]
    return "\n".join(
        [
            f"{len(ontology.kinds)} kinds ({', '.join(f'{k} {v}' for k, v in sorted(sizes.items()))})",
            f"{len(ontology.interests)} interests, {len(ontology.franchises)} franchises, {len(ontology.cues)} cues",
            f"forms claimed by several kinds ({len(twice)}):",
            *twice,
            f"interests no kind serves: {', '.join(unmet) or 'none'}",
            "",
        ]
    )


def _explain(reader: Reader, title: str, category: str | None) -> str:
    reading = reader.read(title, category)
    kind = reading.kind
    lines = [
        f"kind        {kind.id if kind else '-'} ({reading.confidence:.2f}), role {reading.role}",
        f"for         {reading.gender}, ages {reading.ages[0]}-{reading.ages[1]}, pack of {reading.pack}",
        f"interests   {', '.join(f'{k} {v:.2f}' for k, v in reading.interests.items()) or '-'}",
        f"franchises  {', '.join(f.name for f in reading.franchises) or '-'}",
        f"cues        {', '.join(c.id for c in reading.cues) or '-'}",
        f"breaks      {', '.join(sorted(reading.breaks)) or '-'}",
        *(f"because     {line}" for line in reading.evidence),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
