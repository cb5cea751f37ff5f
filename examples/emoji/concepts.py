"""What emoji show: a concept, whoever does it, in one of six tones of skin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

# Fitzpatrick's tones as Unicode has them; without one, skin is yellow.
TONES = {
    "1F3FB": "light", "1F3FC": "medium-light", "1F3FD": "medium", "1F3FE": "medium-dark",
    "1F3FF": "dark",
}  # fmt: skip
YELLOW = "yellow"
JOINER, PERSON = "200D", "1F9D1"
# A man's and a woman's emoji are a person's with a sign behind, or begin with another person. The
# same for one who faces right.
SIGNS = tuple((JOINER, sign, "FE0F") for sign in ("2640", "2642", "27A1"))
MAN_AND_WOMAN = ("1F468", "1F469")
# Emoji that are older than that rule.
SAME = {
    "1F57A": "1F483",                                              # dancing
    "1F934": "1FAC5", "1F478": "1FAC5",                            # with a crown
    "1F385": "1F9D1-200D-1F384", "1F936": "1F9D1-200D-1F384",      # Father Christmas
    "1F474": "1F9D3", "1F475": "1F9D3",                            # older
    "1F466": "1F9D2", "1F467": "1F9D2",                            # child
    "1F930": "1FAC4", "1FAC3": "1FAC4",                            # pregnant
}  # fmt: skip


@dataclass(frozen=True)
class Emoji:
    """An emoji: its code points as files are called, its concept, and its tone."""

    code: str
    noun: str
    adjective: str


def emoji_of(content: bytes) -> Iterator[Emoji]:
    """Yield every emoji with a tone of skin, of a list of emoji-datasource's.

    Those that show two people, who may have two tones, are left out.
    """
    entries = [e for e in json.loads(content) if set(e.get("skin_variations", {})) == set(TONES)]
    names = {concept(entry["unified"]): entry for entry in reversed(entries)}
    names |= {_bare(entry["unified"]): entry for entry in entries}  # a person's own name goes first
    for entry in entries:
        noun = names[concept(entry["unified"])]["short_name"].replace("_", "-")
        yield Emoji(entry["unified"].lower(), noun, YELLOW)
        for tone, variation in entry["skin_variations"].items():
            yield Emoji(variation["unified"].lower(), noun, TONES[tone])


def concept(code: str) -> str:
    """Return the code points of the person who does what an emoji's man, woman or person does."""
    points = [PERSON if point in MAN_AND_WOMAN else point for point in code.split("-")]
    for sign in SIGNS:
        for at in range(len(points) - len(sign), 0, -1):
            if tuple(points[at : at + len(sign)]) == sign:
                del points[at : at + len(sign)]
    found = _bare("-".join(points))
    return SAME.get(found, found)


def _bare(code: str) -> str:
    """Return code points without the sign for a coloured drawing, where only it follows one."""
    return code.removesuffix("-FE0F") if code.count("-") == 1 else code
