"""BPE tokenizers see a sample of a large corpus, the same one every time, and know every character of all of it."""

import random

import psutil

from evoslm.models.tokenizers.base import sample_contents
from evoslm.models.tokenizers.by_modality import encode_contents, stream_ids, train_tokenizer

WORDS = ("river", "stone", "bridge", "lantern", "winter", "market", "garden", "sailor")
TEXTS = [f"The {WORDS[i % 8]} and the {WORDS[(i * 3 + 1) % 8]} number {i % 7}." for i in range(400)]


def test_a_sample_is_all_of_a_small_corpus_and_in_its_order():
    assert sample_contents(iter(TEXTS), 1000) == TEXTS
    sample = sample_contents(iter(TEXTS), 50)
    assert len(sample) == 50 and sample == sample_contents(TEXTS, 50)
    numbered = sample_contents((str(i) for i in range(10_000)), 100)
    assert numbered == sorted(numbered, key=int) and 3_500 < sum(map(int, numbered)) / 100 < 6_500


def test_a_character_outside_the_sample_has_a_piece():
    texts = [*TEXTS, "Cafés, naïve: ñ!"]
    tokenizer = train_tokenizer("text_bpe", iter(texts), vocab_size=140, input_sentence_size=20)
    assert tokenizer.unk_token_id not in encode_contents(tokenizer, texts)[-1]


def test_contents_are_read_once_and_ids_come_one_after_the_other():
    tokenizer = train_tokenizer("text_raw", iter(TEXTS))
    streamed = list(stream_ids(tokenizer, iter(TEXTS), batch_size=7))
    assert [ids.tolist() for ids in streamed] == [ids.tolist() for ids in encode_contents(tokenizer, TEXTS)]


def test_encoding_texts_that_do_not_come_again_keeps_none_of_them():
    """A model of pieces remembers what it merged, which is worth its memory where that is a word."""
    rng, letters = random.Random(0), "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(2000)]
    tokenizer = train_tokenizer("text_raw", [letters])

    def encode(texts: int) -> float:
        for _ in stream_ids(tokenizer, (" ".join(rng.choices(words, k=25)) for _ in range(texts))):
            pass
        return process.memory_info().rss / 1e6

    process = psutil.Process()
    before = encode(1000)
    assert encode(9000) - before < 40  # 9,000 texts with a number for each of their characters are 90
