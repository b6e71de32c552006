"""Regular and irregular forms of English nouns and verbs.

lemma -> [`Inflections`] -> plural, third person, past tense, participle; a word -> [`indefinite_article`].
"""

import re
from dataclasses import dataclass

_VOWEL_LETTER_CONSONANT_SOUND = re.compile(r"(one$|one-|once|uni|use|usual|eu|ukulele)")
_SILENT_H = re.compile(r"(hour|honest|honor|heir)")
_SHORT_CLOSED_SYLLABLE = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]|[^aeiou]*qu[aeiou][^aeiouwxy]")
_SIBILANT_END = re.compile(r"(s|x|z|ch|sh)$")
_CONSONANT_Y_END = re.compile(r"[^aeiou]y$")


@dataclass(frozen=True)
class Inflections:
    """
    How nouns and verbs inflect.

    Args:
        irregular_nouns (`dict[str, str]`): Plural of each irregular noun.
        irregular_verbs (`dict[str, tuple[str, str]]`): Past tense and participle of each irregular verb.
        doubling_verbs (`frozenset[str]`): Verbs of several syllables that double their last letter (admit, admitted).
    """

    irregular_nouns: dict[str, str]
    irregular_verbs: dict[str, tuple[str, str]]
    doubling_verbs: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, nouns: str, verbs: str, doubling: str = "") -> "Inflections":
        """Read `woman:women deer:=`, `see:saw:seen` and `admit`; an underscore stands for a space."""
        plurals = (entry.split(":") for entry in nouns.split())
        forms = (entry.replace("_", " ").split(":") for entry in verbs.split())
        return cls(
            {noun: noun if plural == "=" else plural for noun, plural in plurals},
            {lemma: (past, participle) for lemma, past, participle in forms},
            frozenset(doubling.split()),
        )

    def plural(self, noun: str) -> str:
        """Plural of a noun; of a compound, that of its last word."""
        *first, last = noun.split(" ")
        irregular = self.irregular_nouns.get(last) or (last[:-2] + "en" if last.endswith("man") else "")
        return " ".join([*first, irregular or add_s(last)])

    def verb(self, lemma: str, tense: str, plural: bool) -> str:
        """The finite form of a verb in the third person; `tense` is `"present"` or `"past"`."""
        if lemma == "be":
            return ("were" if plural else "was") if tense == "past" else ("are" if plural else "is")
        if tense == "past":
            return self.past(lemma)
        if plural or lemma in ("can", "cannot", "will"):
            return lemma
        return "has" if lemma == "have" else add_s(lemma)

    def past(self, lemma: str) -> str:
        """Past tense of a verb."""
        irregular = self.irregular_verbs.get(lemma)
        return irregular[0] if irregular else self._add_ed(lemma)

    def participle(self, lemma: str) -> str:
        """Past participle of a verb."""
        irregular = self.irregular_verbs.get(lemma)
        return irregular[1] if irregular else self._add_ed(lemma)

    def _add_ed(self, lemma: str) -> str:
        if lemma.endswith("e"):
            return lemma + "d"
        if _CONSONANT_Y_END.search(lemma):
            return lemma[:-1] + "ied"
        return self._doubled(lemma) + "ed"

    def _doubled(self, lemma: str) -> str:
        doubles = lemma in self.doubling_verbs or _SHORT_CLOSED_SYLLABLE.fullmatch(lemma)
        return lemma + lemma[-1] if doubles else lemma


def add_s(word: str) -> str:
    """The regular plural of a noun, which is also the third person of a verb."""
    if _CONSONANT_Y_END.search(word):
        return word[:-1] + "ies"
    return word + ("es" if _SIBILANT_END.search(word) or word in ("go", "do", "echo", "veto") else "s")


def indefinite_article(next_word: str) -> str:
    """`"a"` or `"an"`, by the sound that the next word begins with."""
    word = next_word.lower()
    vowel = word[0] in "aeiou" and not _VOWEL_LETTER_CONSONANT_SOUND.match(word)
    return "an" if vowel or _SILENT_H.match(word) else "a"
