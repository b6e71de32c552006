"""sWUGGY: a pseudo-word sounds like its word but for one place, and n-grams up to order 3 cannot tell them apart."""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from evoslm.datasets_scripts.pairs.balance import choose_balanced
from evoslm.datasets_scripts.pairs.pseudo_words import SpellingEditor, edited_segment, reason_to_drop
from evoslm.datasets_scripts.pairs.swuggy import LONG_TAIL, band_of, make_swuggy_pairs, qualifying_words
from evoslm.datasets_scripts.pairs.swuggy_candidates import Pieces
from evoslm.datasets_scripts.stories.rich.generation import generate_stories
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.datasets_scripts.text.word_list import Lexicon, build_lexicon
from evoslm.datasets_scripts.text.words import count_words, words_of
from evoslm.metrics.tasks import TASKS
from evoslm.models.ngram import NGramModel
from evoslm.models.tokenizers.phones import train_phone_raw
from evoslm.models.tokenizers.text import train_text_raw

NUM_PAIRS = 60


@dataclass
class Corpus:
    """A small training text with its phones, word by word, and the words that no pseudo-word may be."""

    texts: list[str]
    phone_sequences: list[list[str]]
    counts: Counter
    lexicon: Lexicon
    synthesizer: EspeakSynthesizer

    def make_pairs(self, num_pairs: int = NUM_PAIRS, seed: int = 0, **arguments):
        return make_swuggy_pairs(
            self.counts,
            num_pairs,
            seed,
            self.synthesizer,
            self.texts,
            self.phone_sequences,
            lexicon=self.lexicon,
            **arguments,
        )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    synthesizer = EspeakSynthesizer()
    texts = [story.text for story in generate_stories(max_words=15_000, seed=0)]
    counts = count_words(texts)
    sounds = dict(zip(sorted(counts), synthesizer.pronounce(sorted(counts))))
    phones = [["SIL", *(p for word in words_of(text.lower()) for p in sounds[word]), "SIL"] for text in texts]
    lexicon = build_lexicon(synthesizer, counts, size=20_000, cache_dir=tmp_path_factory.mktemp("cache"))
    return Corpus(texts, phones, counts, lexicon, synthesizer)


@pytest.fixture(scope="module")
def made(corpus):
    return corpus.make_pairs()


def test_words_are_of_their_band_and_every_id_is_unique(corpus, made):
    pairs, report = made
    assert len(pairs) == NUM_PAIRS == len({pair.id for pair in pairs}) == len({pair.negative for pair in pairs})
    for pair in pairs:
        assert pair.positive.isalpha() and pair.positive.islower() and len(pair.positive) >= 4
        assert pair.band == pair.group == LONG_TAIL.label(band_of(corpus.counts[pair.positive]))
        assert (pair.task, pair.context) == ("swuggy", "")
    # What a band lacks in words, the headline bands give.
    counts = {band: part["pairs"] for band, part in report["bands"].items()}
    assert min(counts["1-5"], counts["6-20"]) >= 24
    assert max(counts["21-100, unbalanced"], counts[">100, unbalanced"]) <= 6
    assert counts == {band: sum(pair.band == band for pair in pairs) for band in counts}


def test_a_pseudo_word_differs_in_one_place_and_sounds_like_no_word(corpus, made):
    for pair in made[0]:
        word, pseudo_word = corpus.synthesizer.pronounce([pair.positive, pair.negative])
        before, after = edited_segment(word, pseudo_word)
        assert 1 <= max(len(before), len(after)) <= 2
        assert [p[-1] for p in word if p[-1].isdigit()] == [p[-1] for p in pseudo_word if p[-1].isdigit()]
        assert not corpus.lexicon.has_sound(pseudo_word) and not corpus.lexicon.has_spelling(pair.negative)
        rendering = corpus.synthesizer.render(pair.negative)
        assert [phone["phone"] for phone in rendering.phones] == ["SIL", *pseudo_word, "SIL"]


def test_n_grams_of_the_modalities_are_at_half_in_the_headline_bands(corpus, made):
    pairs = [pair for pair in made[0] if pair.band in TASKS["swuggy"].headline_bands]

    def as_phones(words: list[str]) -> list[str]:
        return [" ".join(("SIL", *phones, "SIL")) for phones in corpus.synthesizer.pronounce(words)]

    spoken = [" ".join(phones) for phones in corpus.phone_sequences]
    for symbols, tokenizer, contents, form in (
        ("letters", train_text_raw(corpus.texts), corpus.texts, list),
        ("phones", train_phone_raw(), spoken, as_phones),
    ):

        def ids(contents, tokenizer=tokenizer):
            return tokenizer(contents, add_special_tokens=False).input_ids

        model = NGramModel.fit(ids(contents), vocab_size=len(tokenizer), max_order=3)
        sides = [ids(form([getattr(pair, side) for pair in pairs])) for side in ("positive", "negative")]
        scores = [model.log_likelihoods(side) for side in sides]
        for band in LONG_TAIL.headline:
            rows = np.array([pair.band == band for pair in pairs])
            accuracies = 50 + 50 * np.sign(scores[0] - scores[1])[rows].mean(0)
            assert (abs(accuracies - 50) <= 5).all()
            reported = [made[1]["bands"][band][f"{symbols}-{order}"] for order in (1, 2, 3)]
            assert np.round(accuracies, 1) == pytest.approx(reported, abs=0.11)
            shorter = np.sign([len(long) - len(short) for short, long in zip(*sides)])[rows].mean()
            assert abs(50 * shorter) <= 5


def test_n_grams_and_numbers_of_pieces_are_balanced_as_far_as_it_goes(corpus, made):
    def cut(contents: list[str]) -> list[list[int]]:
        """Pieces that end with a vowel: their lengths are ids."""
        return [[min(len(piece), 9) for piece in re.findall(r"[^aeiou]*[aeiou]|[^aeiou]+$", row)] for row in contents]

    def cut_phones(contents: list[str]) -> list[list[int]]:
        assert all(content.startswith("SIL ") and content.endswith(" SIL") for content in contents)
        return cut(content.lower() for content in contents)

    tokenizers = {"vowels": Pieces(cut, 10), "vowel phones": Pieces(cut_phones, 10, of_phones=True)}
    pairs, report = corpus.make_pairs(tokenizers=tokenizers)
    assert len(pairs) == len(made[0])
    texts = [" ".join(phones) for phones in corpus.phone_sequences]
    for band in LONG_TAIL.headline:
        balanced = report["bands"][band]
        assert all(abs(balanced[rule] - 50) <= 5 for rule in ("letters-3", "phones-3", "fewer phones"))
        assert all(abs(balanced[f"fewer {name}"] - 50) <= 8 for name in tokenizers)

    words = [[getattr(pair, side) for pair in pairs] for side in ("positive", "negative")]
    spoken = [[" ".join(("SIL", *phones, "SIL")) for phones in corpus.synthesizer.pronounce(side)] for side in words]
    for name, training, sides in (("vowels", corpus.texts, words), ("vowel phones", texts, spoken)):
        encode = tokenizers[name].encode
        model = NGramModel.fit(encode(training), vocab_size=10, max_order=2)
        votes = np.sign(np.subtract(*(model.log_likelihoods(encode(side)) for side in sides)))
        for band in LONG_TAIL.headline:
            accuracies = 50 + 50 * votes[[pair.band == band for pair in pairs]].mean(0)
            reported = [report["bands"][band][f"{name}-{order}"] for order in (1, 2)]
            assert np.round(accuracies, 1) == pytest.approx(reported, abs=0.11)
            assert (abs(accuracies - 50) <= 10).all()


def test_the_report_says_what_became_of_the_words(corpus, made):
    report = made[1]
    assert report["words"] == len(qualifying_words(corpus.counts, corpus.texts, corpus.lexicon))
    assert 0.7 < report["with_candidates"] <= 1 and report["tried"] >= NUM_PAIRS
    assert {"sounds like another word", "differs in more than 2 phones"} <= report["dropped"].keys()


def test_the_seed_decides_and_the_same_seed_gives_the_same_pairs(corpus, made):
    assert corpus.make_pairs()[0] == made[0]
    assert corpus.make_pairs(seed=1)[0] != made[0]


def test_a_corpus_that_is_too_small_says_how_many_pairs_it_gives(corpus):
    with pytest.raises(ValueError, match=r"Only \d+ of 50000 sWUGGY pairs can be made from the \d+ words"):
        make_swuggy_pairs(
            Counter(dict.fromkeys(("river", "garden", "sailor"), 2)),
            50_000,
            0,
            corpus.synthesizer,
            ["the river and the garden of the sailor"],
            [["SIL", "R", "IH1", "V", "ER0", "SIL"]],
            lexicon=corpus.lexicon,
        )


def test_names_rare_spellings_and_short_words_do_not_qualify():
    lexicon = Lexicon(frozenset(["river", "anna", "rose", "sea"]), frozenset(), frozenset())
    texts = ["Anna saw the river.", "River, said Rose to Anna, and the rose by the sea.", "The xyzzy. Rose came."]
    assert qualifying_words(count_words(texts), texts, lexicon) == ["river"]


def test_the_edited_segment_is_what_lies_between_the_common_ends():
    assert edited_segment(tuple("abcd"), tuple("abxd")) == (("c",), ("x",))
    assert edited_segment(tuple("abcd"), tuple("abd")) == (("c",), ())
    assert edited_segment(tuple("aab"), tuple("aaab")) == ((), ("a",))
    assert edited_segment(tuple("ab"), tuple("ab")) == ((), ())


@pytest.mark.parametrize(
    ("pseudo_word", "reason"),
    [
        ("R IH1 M ER0", None),
        ("R IH1 V ER0", "sounds like the word"),
        ("L IH1 V ER0", "sounds like another word"),
        ("R IH2 V ER0", "other syllables or stress"),
        ("R IH1 V ER0 IY0", "other syllables or stress"),
        ("S T R IH1 V ER0", None),
        ("S P L IH1 V ER0", "differs in more than 2 phones"),
    ],
)
def test_a_candidate_is_kept_only_if_one_place_of_the_sound_changed(pseudo_word, reason):
    lexicon = Lexicon(frozenset(), frozenset(), frozenset(["L IH V ER"]))
    found = reason_to_drop(("R", "IH1", "V", "ER0"), tuple(pseudo_word.split()), lexicon)
    assert (found or "").startswith(reason or "") and (found is None) == (reason is None)


def test_edits_change_one_run_of_letters_into_one_that_the_corpus_has_there():
    editor = SpellingEditor(["stream", "bread", "clean", "toad"])
    edits = editor.edits("stream")
    assert len(edits) == len(set(edits)) and "stream" not in edits
    assert {"bream", "stroam", "strean", "streum", "tream"} <= set(edits)
    assert not {"breaad", "streacl", "stoad"} & set(edits)


def test_inflections_of_known_words_count_as_words():
    lexicon = Lexicon(frozenset(["sea"]), frozenset(["plan", "hope", "carry", "walk"]), frozenset())
    assert all(lexicon.has_spelling(word) for word in ("sea", "planning", "hoping", "carries", "walked", "walker"))
    assert not any(lexicon.has_spelling(word) for word in ("plat", "seas", "walt"))


def test_pronunciations_of_the_list_are_kept_and_made_anew_when_the_sounds_change(tmp_path):
    class Speller:
        def __init__(self, suffix=()):
            self.asked, self.suffix = 0, suffix

        def pronounce(self, words):
            self.asked += len(words)
            if "of" in words:
                raise ValueError("no sound for it")
            return [(*word.upper(), *self.suffix) for word in words]

    first, second, other = Speller(), Speller(), Speller(("Z",))
    lexicons = [build_lexicon(speller, ["xyzzy"], 9_000, tmp_path) for speller in (first, second, other)]
    assert lexicons[0] == lexicons[1] != lexicons[2]
    assert second.asked < first.asked / 2 < other.asked
    assert lexicons[0].has_sound(tuple("THE")) and not lexicons[0].has_sound(tuple("OF"))
    assert lexicons[0].has_sound(tuple("XYZZY")) and lexicons[0].has_spelling("xyzzy")


def random_candidates(num_owners: int, bias: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    margins = rng.normal(bias, 1, (num_owners * 12, 6))
    return np.repeat(np.arange(num_owners), 12), np.sign(margins), np.sqrt((margins**2).mean(1))


def test_the_choice_is_balanced_and_cheap_with_one_candidate_an_owner():
    owners, signs, costs = random_candidates(100, bias=0.5)
    chosen = choose_balanced(owners, signs, costs, 60, tolerance=0.02)
    assert len(chosen) == 60 == len(set(owners[chosen]))
    assert (abs(signs[chosen].mean(0)) <= 0.04).all()
    assert costs[chosen].mean() < 0.8 * costs.mean()


def test_where_balance_cannot_be_had_strict_rules_cost_candidates_and_others_do_not():
    owners, signs, costs = random_candidates(60, bias=2.5)
    strict = choose_balanced(owners, signs, costs, 60, tolerance=0.02)
    loose = choose_balanced(owners, signs, costs, 60, tolerance=0.02, strict=False)
    assert len(loose) == 60 and 0 < len(strict) < 60
    assert (abs(signs[strict].sum(0)) <= max(1, 0.04 * len(strict))).all()
    assert abs(signs[loose].mean()) < abs(signs.mean())


def test_a_rule_that_cannot_be_balanced_costs_no_other_its_balance():
    owners, signs, costs = random_candidates(100, bias=0.5)
    hopeless = np.concatenate([signs, np.ones((len(signs), 1))], axis=1)
    chosen = choose_balanced(owners, hopeless, costs, 60, tolerance=0.02, strict=np.arange(7) < 6)
    assert len(chosen) == 60 and (abs(signs[chosen].mean(0)) <= 0.04).all()


def test_nothing_is_chosen_from_nothing():
    assert len(choose_balanced(np.zeros(0, int), np.zeros((0, 6)), np.zeros(0), 10, 0.02)) == 0


def test_words_are_counted_in_any_case_and_with_apostrophes():
    assert count_words(["Don't go. GO!"]) == {"don't": 1, "go": 2}
