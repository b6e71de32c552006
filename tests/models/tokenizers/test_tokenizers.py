"""Tokenizers: what goes in comes out again, as SentencePiece has it, and nothing is lost in silence."""

import functools
import json
import os
import random
import re
import subprocess
import sys

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from evoslm.models.modalities import MODALITIES
from evoslm.models.phones import ARPABET, SIL
from evoslm.models.tokenizers.base import SPECIAL_TOKENS
from evoslm.models.tokenizers.by_modality import encode_contents, train_tokenizer
from evoslm.models.tokenizers.units import integers_below

NUM_UNITS = 120
LEXICON = {
    "the": "DH AH0",
    "big": "B IH1 G",
    "girl": "G ER1 L",
    "lion": "L AY1 AH0 N",
    "lions": "L AY1 AH0 N Z",
    "sees": "S IY1 Z",
    "fox": "F AA1 K S",
    "tonight": "T AH0 N AY1 T",
    "garden": "G AA1 R D AH0 N",
}
KINDS = ("text_bpe", "text_raw", "phone_bpe", "phone_raw", "speech_units", "speech_bpe")


def sentences(seed: int = 0) -> list[list[str]]:
    rng = random.Random(seed)
    return [rng.choices(list(LEXICON), k=rng.randint(3, 12)) for _ in range(200)]


@functools.cache
def corpus(kind: str) -> list[str]:
    """Contents to train and test on."""
    if kind.startswith("text"):
        return [" ".join(words).capitalize() + "." for words in sentences()]
    if kind.startswith("phone"):
        return [" ".join([SIL, *(LEXICON[word] for word in words), SIL]) for words in sentences()]
    rng = random.Random(0)
    words = {word: [str(rng.randrange(NUM_UNITS - 20)) for _ in range(6)] for word in LEXICON}
    return [" ".join(unit for word in said for unit in words[word]) for said in sentences()]


def train(kind: str):
    sizes = {"text_bpe": 120, "phone_bpe": 150, "speech_bpe": 200}
    return train_tokenizer(
        kind, corpus(kind), sizes.get(kind), num_units=NUM_UNITS if MODALITIES[kind].is_speech else None
    )


tokenizer_of = functools.cache(train)


def symbols(kind: str) -> st.SearchStrategy[str]:
    """Any content of a kind, of symbols that its corpus may never have seen together or at all."""
    if kind.startswith("text"):
        seen = sorted(set("".join(corpus(kind))))
        return st.text(alphabet=st.sampled_from([*seen, " ", "Q", "7", "?"]))
    alphabet = ARPABET if kind.startswith("phone") else [str(unit) for unit in range(NUM_UNITS)]
    return st.lists(st.sampled_from(alphabet), max_size=80).map(" ".join)


ODD = [*SPECIAL_TOKENS, "AH0", "AH", "SIL", "17", "017", "120", "\ue005", "\U000f0003", "▁", "▅", "\0", "é", " ", "  "]
ANYTHING = st.text() | st.lists(st.sampled_from(ODD)).map(" ".join)


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_undoes_encoding(kind):
    tokenizer = tokenizer_of(kind)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(symbols(kind), min_size=1, max_size=4))
    def check(contents):
        ids = [tokenizer(content, add_special_tokens=False).input_ids for content in contents]
        assert all(tokenizer.unk_token_id not in row for row in ids)
        assert [tokenizer.decode(row, skip_special_tokens=True) for row in ids] == contents
        assert tokenizer.batch_decode(tokenizer(contents).input_ids, skip_special_tokens=True) == contents
        batch = tokenizer.backend_tokenizer.encode_batch(contents, add_special_tokens=False)
        assert [encoding.ids for encoding in batch] == ids
        assert [row.tolist() for row in encode_contents(tokenizer, contents)] == ids

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_unknown_stays_visible(kind):
    tokenizer = tokenizer_of(kind)

    @settings(max_examples=100, deadline=None)
    @given(ANYTHING)
    def check(content):
        ids = tokenizer(content, add_special_tokens=False).input_ids
        canonical = content if kind.startswith("text") else " ".join(content.split())
        assert tokenizer.unk_token_id in ids or tokenizer.decode(ids, skip_special_tokens=True) == canonical
        assert not {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id} & set(ids)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_starts_with_bos_and_ends_open(kind):
    tokenizer = tokenizer_of(kind)
    context, continuation = corpus(kind)[:2]
    bare = [tokenizer(content, add_special_tokens=False).input_ids for content in (context, continuation)]
    assert tokenizer(context).input_ids == [tokenizer.bos_token_id, *bare[0]]
    assert tokenizer(context, continuation).input_ids == [tokenizer.bos_token_id, *bare[0], *bare[1]]
    # Tokenised apart, the two read as one content when their ids stand together.
    assert tokenizer.decode(bare[0] + bare[1]) == f"{context} {continuation}"


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_and_batches_are_what_generation_needs(kind):
    tokenizer = tokenizer_of(kind)
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3]) == list(SPECIAL_TOKENS)
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))
    batch = tokenizer(corpus(kind)[:3], padding=True)
    assert set(batch) == {"input_ids", "attention_mask"}
    assert all(row[-1] != tokenizer.pad_token_id for row in batch["input_ids"])
    # Padding does not leak into what is encoded next.
    assert all(tokenizer.pad_token_id not in row for row in encode_contents(tokenizer, corpus(kind)[:3]))


def test_vocabularies_have_the_sizes_that_they_are_said_to_have():
    sizes = {kind: len(tokenizer_of(kind)) for kind in KINDS}
    assert sizes["text_bpe"] == 120 and sizes["phone_bpe"] == 150 and sizes["speech_bpe"] == 200
    assert sizes["phone_raw"] == len(ARPABET) + 4 and sizes["speech_units"] == NUM_UNITS + 4
    assert sizes["text_raw"] == 78  # 52 letters, 10 digits, 11 marks, the space and four special tokens


@pytest.fixture
def sentencepiece_models(monkeypatch) -> list[bytes]:
    """The models that SentencePiece trains during a test."""
    models, original = [], sentencepiece.SentencePieceTrainer.train

    def record(**arguments):
        original(**arguments)
        models.append(arguments["model_writer"].getvalue())

    monkeypatch.setattr(sentencepiece.SentencePieceTrainer, "train", record)
    return models


def characters_of(kind: str, content: str) -> str:
    """What SentencePiece sees of a content."""
    if kind == "text_bpe":
        return content
    base, alphabet = (0xE000, ARPABET) if kind == "phone_bpe" else (0xF0000, [str(u) for u in range(NUM_UNITS)])
    return "".join(chr(base + alphabet.index(symbol)) for symbol in content.split())


@pytest.mark.parametrize("kind", ["text_bpe", "phone_bpe", "speech_bpe"])
def test_the_segmentation_is_sentencepieces_own(kind, sentencepiece_models):
    tokenizer = train(kind)
    processor = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_models[0])
    # Digits and the space have ids between the special tokens and the pieces of units.
    shift = 11 if kind == "speech_bpe" else 0
    rng = random.Random(1)
    shuffled = [" ".join(rng.sample(words := content.split(), len(words))) for content in corpus(kind)]
    for content in corpus(kind) + shuffled:
        # SentencePiece sees the phones between silences; a silence has an id of its own.
        runs = characters_of(kind, content).split("\ue000")
        ids = [[index + shift for index in processor.encode(run)] for run in runs]
        expected = ids[0] + [index for run in ids[1:] for index in [tokenizer.convert_tokens_to_ids("\ue000"), *run]]
        assert tokenizer(content, add_special_tokens=False).input_ids == expected


def test_real_books_and_phones_are_segmented_as_by_sentencepiece(shared_data, sentencepiece_models):
    rows = [
        line.rstrip("\n").split("|")
        for line in (shared_data / "ljspeech" / "phones_val.txt").read_text(encoding="utf-8").splitlines()
    ]
    texts = [row[3] for row in rows]
    silences = {"sp": "SIL", "spn": "SPN", "sil": "SIL"}
    phones = [" ".join(silences.get(phone, phone) for phone in row[2].strip("{}").split()) for row in rows]
    for kind, contents in (("text_bpe", texts), ("phone_bpe", phones)):
        tokenizer = train_tokenizer(kind, contents, 1000)
        processor = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_models.pop())
        ids = encode_contents(tokenizer, contents)
        assert tokenizer.batch_decode([row.tolist() for row in ids]) == contents
        if kind == "text_bpe":
            assert [row.tolist() for row in ids] == processor.encode(contents)


def test_phone_pieces_cross_words_but_never_hold_a_silence():
    tokenizer = tokenizer_of("phone_bpe")
    pieces = [tokenizer.decode([index]).split() for index in range(4, len(tokenizer))]
    assert [piece for piece in pieces if SIL in piece] == [[SIL]]
    words = {tuple(pronunciation.split()) for pronunciation in LEXICON.values()}
    inside = {word[i:j] for word in words for i in range(len(word)) for j in range(i + 1, len(word) + 1)}
    assert any(tuple(piece) not in inside for piece in pieces if len(piece) > 1)


def test_all_units_have_an_id_even_if_the_corpus_lacks_them():
    every = " ".join(str(unit) for unit in range(NUM_UNITS))
    for kind in ("speech_units", "speech_bpe"):
        assert tokenizer_of(kind).decode(encode_contents(tokenizer_of(kind), [every])[0].tolist()) == every


@pytest.mark.parametrize(
    "kind, content, named",
    [
        ("text_bpe", "The cañon.", r"'ñ' \(in 'cañon\.'\)"),
        ("text_raw", "The cañon.", r"'ñ' \(in 'cañon\.'\)"),
        ("text_raw", "The\tlion", r"'\\t' \(in 'The\\tlion'\)"),
        ("phone_bpe", "SIL DH AH SIL", r"'H' \(in 'AH'\)"),
        ("phone_raw", "SIL DH AH SIL", "'AH'"),
        ("phone_raw", "SIL <s> SIL", "'<s>'"),
        ("speech_units", "3 120 5", "'120'"),
        ("speech_bpe", "3 120 5", r"'0' \(in '120'\)"),
        ("speech_bpe", "3 05", r"'5' \(in '05'\)"),
    ],
)
def test_an_unknown_symbol_is_an_error_or_unk(kind, content, named):
    tokenizer = tokenizer_of(kind)
    with pytest.raises(ValueError, match=f"Row 2 has {named}, which the tokenizer does not know"):
        encode_contents(tokenizer, [*corpus(kind)[:2], content])
    ids = encode_contents(tokenizer, [content], unknown="unk")[0]
    assert ids.dtype == np.int32 and (ids == tokenizer.unk_token_id).sum() == 1


def test_unknown_is_error_or_unk():
    with pytest.raises(ValueError, match="'error' or 'unk', not 'skip'"):
        encode_contents(tokenizer_of("phone_raw"), ["SIL"], unknown="skip")


@pytest.mark.parametrize("kind", ["text_bpe", "phone_bpe", "speech_bpe"])
def test_a_vocabulary_that_does_not_fit_is_refused_with_the_limit(kind):
    few, options = corpus(kind)[:3], {"num_units": NUM_UNITS} if kind == "speech_bpe" else {}
    with pytest.raises(ValueError, match=r"5000 is too large for this corpus, which yields (\d+) at most") as error:
        train_tokenizer(kind, few, 5000, **options)
    largest = int(re.search(r"yields (\d+)", str(error.value))[1])
    assert len(train_tokenizer(kind, few, largest, **options)) == largest
    with pytest.raises(ValueError, match=r"20 is too small, single symbols alone take (\d+)") as error:
        train_tokenizer(kind, few, 20, **options)
    smallest = int(re.search(r"take (\d+)", str(error.value))[1])
    assert len(train_tokenizer(kind, few, smallest, **options)) == smallest
    with pytest.raises(ValueError, match="the corpus is empty"):
        train_tokenizer(kind, [], 500, **options)


def test_bad_requests_are_named():
    with pytest.raises(ValueError, match="phone_raw has one id a symbol of its alphabet; leave vocab_size out"):
        train_tokenizer("phone_raw", [], vocab_size=100)
    with pytest.raises(ValueError, match="speech_dedup needs num_units"):
        train_tokenizer("speech_dedup", [])
    with pytest.raises(ValueError, match="num_units has to be between 1 and 65534, not 0"):
        train_tokenizer("speech_units", num_units=0)
    with pytest.raises(ValueError, match="row 1 has the symbol 'AH', which is no ARPAbet phone"):
        train_tokenizer("phone_bpe", ["SIL", "DH AH"])
    with pytest.raises(ValueError, match="row 0 has the symbol '120', which is no unit below 120"):
        train_tokenizer("speech_bpe", ["3 120"], num_units=120)
    with pytest.raises(ValueError, match=r"row 7 has the character '▅' \(U\+2585\)"):
        train_tokenizer("text_bpe", [*corpus("text_bpe")[:7], "▅", *corpus("text_bpe")], 120)
    with pytest.raises(ValueError, match="Unknown modality 'phone_row'"):
        train_tokenizer("phone_row", [])


@pytest.mark.parametrize("bound", [1, 2, 10, 11, 99, 100, 101, 500, 2048, 10_000])
def test_the_pattern_of_integers_matches_those_below_and_no_others(bound):
    pattern = re.compile(integers_below(bound))
    assert all(bool(pattern.fullmatch(str(number))) == (number < bound) for number in range(11_000))
    assert not any(pattern.fullmatch(text) for text in ("", "00", "01", "-1", "1.0", "٣"))


TRAIN = """
import sys
sys.path.insert(0, sys.argv[1])
from test_tokenizers import KINDS, corpus, train

for kind in KINDS:
    corpus(kind).reverse()
    train(kind).save_pretrained(f"{sys.argv[2]}/{kind}")
"""

LOAD = """
import json, sys
sys.modules["evoslm"] = sys.modules["torch"] = None  # importing them is an error
from transformers import AutoTokenizer

contents = json.load(sys.stdin)
tokenizers = {kind: AutoTokenizer.from_pretrained(f"{sys.argv[1]}/{kind}") for kind in contents}
ids = {kind: tokenizer(contents[kind])["input_ids"] for kind, tokenizer in tokenizers.items()}
decoded = {kind: tokenizers[kind].batch_decode(ids[kind], skip_special_tokens=True) for kind in contents}
special = {kind: tokenizer("<s>", add_special_tokens=False)["input_ids"] for kind, tokenizer in tokenizers.items()}
json.dump({"ids": ids, "decoded": decoded, "special": special}, sys.stdout)
"""


def run(code: str, *arguments, stdin: str = "", **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        input=stdin,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_tokenizers_are_reproduced_byte_for_byte_and_loaded_without_this_package(tmp_path):
    run(TRAIN, os.path.dirname(__file__), tmp_path / "there", PYTHONHASHSEED="1")
    for kind in KINDS:
        tokenizer_of(kind).save_pretrained(tmp_path / "here" / kind)
        # A model's folder holds both; the configuration of a Llama must not make a Llama tokenizer of it.
        (tmp_path / "here" / kind / "config.json").write_text(json.dumps({"model_type": "llama"}))
        for file in ("tokenizer.json", "tokenizer_config.json"):
            here, there = (tmp_path / place / kind / file for place in ("here", "there"))
            assert here.read_bytes() == there.read_bytes()

    contents = {kind: corpus(kind)[:20] for kind in KINDS}
    loaded = json.loads(run(LOAD, tmp_path / "here", stdin=json.dumps(contents)))
    assert loaded["decoded"] == contents
    assert loaded["ids"] == {kind: tokenizer_of(kind)(contents[kind])["input_ids"] for kind in KINDS}
    assert all(1 not in ids and 3 in ids for ids in loaded["special"].values())
