"""The large list of English words, spelled and pronounced, that no pseudo-word may be in.

wordfreq's list and the corpus' own words with their simple inflections -> espeak -> [`Lexicon`], the pronunciations of
the list kept in `EVOSLM_CACHE` under a fingerprint of what made them.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...models.cache import default_cache_dir
from ...models.files import written_whole
from .words import is_word

logger = logging.getLogger(__name__)

_VOWEL = re.compile(r"[aeiouy]")
_SUFFIXES = ("s", "es", "d", "ed", "r", "er", "st", "est", "ing", "ly", "y", "n", "en", "ness", "less", "ful")
# Words rarer than this one are often names and misprints: they may not be a pseudo-word, but their inflections may.
_COMMON = 60_000
_PROBES = 2_000
_CHUNK = 100


@dataclass(frozen=True)
class Lexicon:
    """
    What counts as a word.

    Args:
        listed (`frozenset[str]`): The words of wordfreq's list, lower-case.
        common (`frozenset[str]`): Words whose inflections count as words too: the frequent ones and the corpus'.
        sounds (`frozenset[str]`): The pronunciations of all of these and of the corpus words' inflections, as phones
            without stress, joined by spaces.
    """

    listed: frozenset[str]
    common: frozenset[str]
    sounds: frozenset[str]

    def has_spelling(self, word: str) -> bool:
        """Whether `word` is a word of the list or of the corpus, or a simple inflection of a common one."""
        if word in self.listed or word in self.common:
            return True
        return any(stem in self.common for stem in _possible_stems(word))

    def has_sound(self, phones: Sequence[str]) -> bool:
        """Whether a word of the list sounds so; stress does not matter."""
        return without_stress(phones) in self.sounds


def without_stress(phones: Sequence[str]) -> str:
    """Phones as one string, without the digits that mark stress."""
    return " ".join(phone.rstrip("012") for phone in phones)


def build_lexicon(
    synthesizer,
    vocabulary: Mapping[str, int] | Iterable[str] = (),
    size: int = 300_000,
    cache_dir: str | Path | None = None,
) -> Lexicon:
    """
    Pronounce the `size` most frequent English words, and a corpus' words with their inflections.

    Args:
        synthesizer (`EspeakSynthesizer`): Pronounces isolated words.
        vocabulary (`Iterable[str]`, *optional*): The corpus' words.
        size (`int`, *optional*, defaults to 300,000): How much of wordfreq's large English list is taken.
        cache_dir (`str` or `Path`, *optional*): Where pronunciations are kept. Defaults to the environment variable
            `EVOSLM_CACHE`, else `~/.cache/evoslm`.

    Returns:
        [`Lexicon`]
    """
    from wordfreq import top_n_list

    listed = [word for word in top_n_list("en", size, wordlist="large") if is_word(word)]
    sounds = set(_cached_pronunciations(synthesizer, listed, Path(cache_dir or default_cache_dir()) / "lexicon"))
    corpus = sorted({word.lower() for word in vocabulary if is_word(word)})
    inflected = (form for word in corpus for form in (word, *_inflections(word)))
    sounds.update(_pronunciations(synthesizer, sorted(set(inflected).difference(listed))))
    sounds.discard("")
    return Lexicon(frozenset(listed), frozenset(listed[:_COMMON]).union(corpus), frozenset(sounds))


def pronounce_all(synthesizer, words: Sequence[str]) -> list[tuple[str, ...]]:
    """Pronounce words; `()` for one that espeak reads with another language's phonemes."""
    sounds = []
    for start in range(0, len(words), _CHUNK):
        chunk = words[start : start + _CHUNK]
        try:
            sounds += synthesizer.pronounce(chunk)
        except ValueError:
            for word in chunk:
                try:
                    sounds += synthesizer.pronounce([word])
                except ValueError:
                    sounds.append(())
    return sounds


def _pronunciations(synthesizer, words: Sequence[str]) -> list[str]:
    return [without_stress(phones) for phones in pronounce_all(synthesizer, words)]


def _cached_pronunciations(synthesizer, words: list[str], folder: Path) -> list[str]:
    # Every so many words pronounced anew show a change of espeak or of the table of phones, whatever caused it.
    probes = _pronunciations(synthesizer, words[:: max(1, len(words) // _PROBES)])
    fingerprint = hashlib.sha256("\n".join([*words, *probes]).encode()).hexdigest()[:16]
    path = folder / f"pronunciations-{fingerprint}.parquet"
    try:
        return pq.read_table(path).column("sounds").to_pylist()
    except (OSError, pa.ArrowInvalid):  # not there yet, or not whole
        sounds = _pronunciations(synthesizer, words)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            pq.write_table(pa.table({"sounds": sounds}), partial)
    except OSError as error:
        logger.warning("The pronunciations of the word list cannot be kept in %s (%s).", folder, error.strerror)
    return sounds


def _inflections(word: str) -> list[str]:
    """Simple inflections by the commonest spelling rules: plural and third person, past, participle, agent."""
    if "'" in word or len(word) < 3:
        return []
    if word.endswith("e"):
        return [f"{word}s", f"{word}d", f"{word[:-1]}ing", f"{word}r"]
    if word.endswith("y") and not _VOWEL.match(word[-2]):
        return [f"{word[:-1]}ies", f"{word[:-1]}ied", f"{word}ing", f"{word[:-1]}ier"]
    plural = f"{word}es" if word.endswith(("s", "x", "z", "ch", "sh")) else f"{word}s"
    doubled = word + word[-1] if re.search(r"[^aeiou][aeiou][bdgklmnprt]$", word) and len(word) < 6 else word
    return [plural, f"{doubled}ed", f"{doubled}ing", f"{doubled}er"]


def _possible_stems(word: str) -> list[str]:
    """What `word` could be an inflection of, by spelling alone."""
    stems = []
    for suffix in _SUFFIXES:
        stem = word.removesuffix(suffix)
        if stem == word or len(stem) < 3:
            continue
        stems.append(stem)
        if suffix in ("ing", "y"):
            stems.append(f"{stem}e")
        if stem[-1] == "i":
            stems.append(f"{stem[:-1]}y")
        if stem[-1] == stem[-2]:
            stems.append(stem[:-1])
    return stems
