from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from evoslm.datasets_scripts.phones.stress import restore_stress
from evoslm.datasets_scripts.recordings.aligners import pocketsphinx as alignment_pocketsphinx
from evoslm.datasets_scripts.recordings.aligners.acoustic_model import cepstra, shared_acoustic_model
from evoslm.datasets_scripts.recordings.aligners.alignment import (
    Alignment,
    AlignmentError,
    finish_alignment,
    spoken_text,
)
from evoslm.datasets_scripts.recordings.aligners.ctc import (
    CtcAligner,
    greedy_ids,
    share_phones,
    with_shared_gaps,
    word_spans,
)
from evoslm.datasets_scripts.recordings.aligners.loading import load_aligner
from evoslm.datasets_scripts.recordings.aligners.paths import forced_path, phone_loop
from evoslm.datasets_scripts.recordings.aligners.pocketsphinx import PocketSphinxAligner
from evoslm.datasets_scripts.recordings.aligners.textgrid import TextGridAligner, read_textgrid
from evoslm.datasets_scripts.recordings.reading import read_speech
from evoslm.datasets_scripts.synthesis.phone_events import TimedPhone
from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.models.phones import ARPABET, SIL


def check(rendering, text: str) -> None:
    """What must hold for every utterance."""
    phones, words = rendering.phones, rendering.words
    assert rendering.audio.dtype == np.int16
    assert len(rendering.audio) % 320 == 0
    assert phones[0]["start"] == 0
    assert phones[-1]["end"] == rendering.duration
    assert all(phone["end"] == following["start"] for phone, following in pairwise(phones))
    assert all(phone["end"] - phone["start"] > 0.0199 for phone in phones)
    assert not any(phone["phone"] == following["phone"] == SIL for phone, following in pairwise(phones))
    assert {phone["phone"] for phone in phones} <= set(ARPABET)
    assert [word["word"] for word in words] == text.split()
    assert all(word["end"] <= following["start"] for word, following in pairwise(words))


def spoken(rendering, word: str) -> list[str]:
    found = next(each for each in rendering.words if each["word"] == word)
    return [p["phone"] for p in rendering.phones if found["start"] <= p["start"] < found["end"] and p["phone"] != SIL]


class TestFinish:
    AUDIO = np.arange(32_000, dtype=np.int16)

    def phones(self, *bounds: tuple[str, float, float, int]) -> Alignment:
        return Alignment(
            [TimedPhone(phone, round(a * 16_000), round(b * 16_000), token) for phone, a, b, token in bounds]
        )

    def test_gaps_become_silence_or_part_of_the_phone_before(self):
        alignment = self.phones(("AH0", 0.1, 0.2, 0), ("B", 0.23, 0.4, 1), ("IY1", 0.8, 1.9, 1))
        rendering = finish_alignment(self.AUDIO, "a bee.", alignment)
        check(rendering, "a bee.")
        assert [(p["phone"], p["start"]) for p in rendering.phones] == [
            (SIL, 0.0),
            ("AH0", 0.1),
            ("B", 0.23),
            (SIL, 0.4),
            ("IY1", 0.8),
            (SIL, 1.9),
        ]
        assert [(word["start"], word["end"]) for word in rendering.words] == [(0.1, 0.23), (0.23, 1.9)]
        assert np.array_equal(rendering.audio, self.AUDIO)

    def test_long_silence_at_the_edges_is_cut_to_half_a_second(self):
        rendering = finish_alignment(self.AUDIO, "a", self.phones(("AH0", 1.015, 1.2, 0)))
        check(rendering, "a")
        assert [phone["phone"] for phone in rendering.phones] == [SIL, "AH0", SIL]
        assert 0.5 <= rendering.words[0]["start"] < 0.52
        assert rendering.duration - rendering.words[0]["end"] == pytest.approx(0.5, abs=0.02)
        assert rendering.audio[0] == round((1.015 - rendering.words[0]["start"]) * 16_000)

    def test_short_phones_borrow_and_the_last_frame_is_filled(self):
        rendering = finish_alignment(
            self.AUDIO[:5000],
            "a bee",
            self.phones(("AH0", 0.0, 0.1, 0), ("B", 0.1, 0.105, 1), ("IY1", 0.105, 0.3125, 1)),
        )
        check(rendering, "a bee")
        assert len(rendering.audio) == 5120
        assert not rendering.audio[5000:].any()

    def test_more_phones_than_frames(self):
        alignment = self.phones(*((phone, i / 1000, (i + 1) / 1000, 0) for i, phone in enumerate(("AH0", "B", "K"))))
        with pytest.raises(AlignmentError, match=r"has 3 phones, too many for the 0\.0 s of speech"):
            finish_alignment(self.AUDIO[:48], "a", alignment)

    def test_a_transcript_without_words(self):
        with pytest.raises(AlignmentError, match="transcript is empty"):
            spoken_text("  ")
        with pytest.raises(AlignmentError, match=r"No words are in '\.\.\.'"):
            spoken_text("...")

    def test_an_unknown_aligner(self):
        with pytest.raises(ValueError, match="choose pocketsphinx, ctc:MODEL or textgrid:FOLDER"):
            load_aligner("sphinx")


class TestStress:
    @pytest.mark.parametrize(
        ("phones", "stressed", "expected"),
        [
            ("W AO T ER", "W AO1 T ER0", "W AO1 T ER0"),
            ("DH IY", "DH AH0", "DH IY0"),
            ("IY DH ER", "AY1 DH ER0", "IY1 DH ER0"),
            ("HH AH S T AH R IY", "HH IH1 S T R IY0", "HH AH1 S T AH0 R IY0"),
            ("V EH JH T AH B AH L", "V EH1 JH AH0 T AH0 B AH0 L", "V EH1 JH T AH0 B AH0 L"),
            ("S T", "S T", "S T"),
            ("OW", "", "OW0"),
        ],
    )
    def test_vowels_take_the_stress_of_their_partners(self, phones, stressed, expected):
        assert " ".join(restore_stress(phones.split(), stressed.split())) == expected


@pytest.fixture(scope="module")
def sphinx() -> PocketSphinxAligner:
    return PocketSphinxAligner()


@pytest.fixture(scope="module")
def clips(shared_data) -> dict[str, tuple[np.ndarray, str]]:
    """Short recordings with their transcripts."""
    rows = (shared_data / "ljspeech" / "metadata.csv").read_text(encoding="utf-8").splitlines()
    texts = {row.split("|")[0]: spoken_text(row.split("|")[2]) for row in rows[:32]}
    return {
        name: (read_speech(shared_data / "ljspeech" / "flac" / f"{name}.flac"), texts[name])
        for name in ("LJ001-0002", "LJ001-0008", "LJ001-0013", "LJ001-0020")
    }


class TestPocketSphinx:
    def test_words_and_phones_of_a_recording(self, sphinx, clips):
        audio, text = clips["LJ001-0002"]
        rendering = finish_alignment(audio, text, sphinx.align(audio, text))
        check(rendering, text)
        assert spoken(rendering, "comparatively") == [
            *("K", "AH0", "M", "P", "EH1", "R", "AH0", "T", "IH2", "V", "L", "IY0")
        ]
        assert spoken(rendering, "modern.") == ["M", "AA1", "D", "ER0", "N"]
        loudness = np.abs(rendering.audio.astype(float)).reshape(-1, 320).mean(1)
        last = round(rendering.words[-1]["end"] * 50)
        assert loudness[last:].max() < 0.1 * loudness.mean()

    def test_a_word_outside_the_dictionary_is_pronounced(self, sphinx, clips):
        audio, text = clips["LJ001-0002"]
        odd = text.replace("modern", "moddurn")
        rendering = finish_alignment(audio, odd, sphinx.align(audio, odd))
        check(rendering, odd)
        assert spoken(rendering, "moddurn.") == ["M", "AA1", "D", "ER0", "N"]

    def test_dashes_and_hyphens(self, sphinx, clips):
        audio, text = clips["LJ001-0002"]
        odd = text.replace("in being", "in-being -")
        rendering = finish_alignment(audio, odd, sphinx.align(audio, odd))
        check(rendering, odd)
        assert len(spoken(rendering, "in-being")) == 6
        assert [word["word"] for word in rendering.words if word["start"] == word["end"]] == ["-"]

    def test_it_does_not_depend_on_what_came_before(self, clips):
        audio, text = clips["LJ001-0002"]
        aligner = PocketSphinxAligner()
        first = aligner.align(audio, text)
        other, its_text = clips["LJ001-0013"]
        aligner.align(other, its_text)
        assert aligner.align(audio, text) == first

    def test_matching_transcripts_pass_and_others_are_refused(self, sphinx, clips):
        names = list(clips)
        for name in names:
            assert sphinx.align(*clips[name]).score > sphinx.min_score
        for name, other in zip(names, names[1:] + names[:1]):
            with pytest.raises(AlignmentError, match="does not match|could not be aligned"):
                sphinx.align(clips[name][0], clips[other][1])

    def test_a_word_or_two_in_place_of_a_sentence(self, sphinx, clips):
        for name in clips:
            with pytest.raises(AlignmentError, match=r"does not match .* (is outside its words|its score is)"):
                sphinx.align(clips[name][0], "He.")

    def test_a_transcript_that_is_too_long(self, sphinx, clips):
        audio, text = clips["LJ001-0002"]
        with pytest.raises(AlignmentError, match="could not be aligned with the recording"):
            sphinx.align(audio, " ".join([text] * 5))

    def test_what_narrow_beams_lose_is_found_with_wider_ones(self, sphinx, clips, monkeypatch):
        audio, text = clips["LJ001-0020"]
        narrow = {"beam": 1e-5, "pbeam": 1e-5, "wbeam": 1e-3}
        monkeypatch.setattr(alignment_pocketsphinx, "_BEAMS", (narrow,))
        with pytest.raises(AlignmentError, match="could not be aligned"):
            PocketSphinxAligner().align(audio, text)
        monkeypatch.setattr(alignment_pocketsphinx, "_BEAMS", (narrow, {}))
        assert PocketSphinxAligner().align(audio, text) == sphinx.align(audio, text)

    def test_floats_are_read_as_well(self, sphinx, clips):
        audio, text = clips["LJ001-0002"]
        assert sphinx.align(audio / np.float32(32767), text) == sphinx.align(audio, text)


# A woman, a man and a child of the synthetic voices, none of which the bound was chosen on.
KLATT = {
    "female-2": "The little dog sat on the old chair by the window all morning.",
    "male-8": "A farmer and his brother carried seven baskets to the market.",
    "child-2": "Nobody remembered what the captain had promised them in spring.",
}


@pytest.fixture(scope="module")
def klatt() -> dict:
    """An utterance of each voice."""
    synthesizer = EspeakSynthesizer()
    return {voice: synthesizer.render(text, voice) for voice, text in KLATT.items()}


class TestSyntheticVoices:
    def test_true_transcripts_are_accepted_and_others_refused(self, sphinx, klatt):
        for voice, other in zip(KLATT, [*KLATT][1:] + [*KLATT][:1]):
            assert sphinx.align(klatt[voice].audio, KLATT[voice]).score > sphinx.min_score
            with pytest.raises(AlignmentError, match="does not match|could not be aligned"):
                sphinx.align(klatt[voice].audio, KLATT[other])

    def test_word_edges_are_neither_early_nor_late(self, sphinx, klatt):
        differences = []
        for voice, spoken_words in klatt.items():
            phones = sphinx.align(spoken_words.audio, KLATT[voice]).phones
            starts: dict[int, int] = {}
            for phone in phones:
                starts.setdefault(phone.token, phone.start)
            differences += [starts[i] / 16 - 1000 * word["start"] for i, word in enumerate(spoken_words.words) if i]
        assert abs(np.median(differences)) < 6
        assert np.mean(np.abs(differences) < 20) > 0.7


class TestPaths:
    @pytest.fixture(scope="class")
    def model(self):
        return shared_acoustic_model()

    def test_densities_belong_to_frames(self, model, klatt):
        audio = klatt["male-8"].audio
        densities = model.log_densities(audio)
        assert densities.shape == (len(cepstra(audio)), len(model.phones), 3)
        assert len(densities) == 2 + (len(audio) - 410) // 160
        assert np.isfinite(densities).all()
        assert np.isfinite(model.log_densities(np.zeros(8000, np.int16))).all()

    def test_forced_path_goes_through_all_phones_in_order(self, model):
        densities = np.full((12, len(model.phones), 3), -9.0, np.float32)
        densities[:7, model.index["S"]] = densities[7:, model.index["IY"]] = -1.0
        positions, explained = forced_path(model, densities, ["S", "IY"])
        assert positions.tolist() == [0] * 7 + [1] * 5
        assert (explained == -1).all()
        assert (phone_loop(model, densities) == -1).all()
        positions, explained = forced_path(model, densities, ["IY", "S"])
        assert positions.tolist() == sorted(positions.tolist())
        assert explained.mean() < -6
        assert forced_path(model, densities, ["S", "IY", "S", "IY", "S"]) is None


LETTERS = {"<pad>": 0, "<unk>": 1, "|": 2, "'": 3} | {chr(ord("A") + i): 4 + i for i in range(26)}


def emissions(path: list[int]) -> np.ndarray:
    """Log-probabilities of a model that is nearly sure of one symbol a frame."""
    logits = np.full((len(path), len(LETTERS)), -8.0, np.float32)
    logits[np.arange(len(path)), path] = 0
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


class TestCtc:
    def test_words_lie_where_their_letters_are(self):
        path = [0, 0, 5, 5, 0, 6, 0, 0, 2, 0, 7, 0, 7, 7, 0, 0]
        spans = word_spans(emissions(path), [5, 6, 2, 7, 7], [0, 0, None, 1, 1], blank=0)
        assert spans == {0: (2, 6), 1: (10, 14)}
        assert greedy_ids(emissions(path), 0) == [5, 6, 2, 7, 7]

    def test_more_letters_than_frames(self):
        with pytest.raises(AlignmentError, match="3 letters, too many for 4 frames"):
            word_spans(emissions([5, 5, 5, 5]), [5, 5, 5], [0, 0, 0], blank=0)

    def test_words_share_short_gaps_and_leave_pauses(self):
        second = 16_000
        times = {0: (second, 2 * second), 2: (2 * second + 1600, 3 * second), 3: (4 * second, 5 * second)}
        assert with_shared_gaps(times, 5 * second + 100) == {
            0: (second - 1280, 2 * second + 800),
            2: (2 * second + 800, 3 * second + 1280),
            3: (4 * second - 1280, 5 * second + 100),
        }

    def test_phones_keep_their_proportions_in_a_word(self):
        rendering = EspeakSynthesizer().render("Oh - comparatively.")
        own = [phone for phone in rendering.phones if phone["phone"] != SIL]
        phones = share_phones(rendering, {0: (0, 1600), 2: (3200, 35_200)})
        assert [phone.phone for phone in phones] == [phone["phone"] for phone in own]
        assert (phones[0].start, phones[1].start, phones[-1].end) == (0, 3200, 35_200)
        length = rendering.words[2]["end"] - rendering.words[2]["start"]
        for phone, of_espeak in zip(phones[1:], own[1:]):
            expected = 32_000 * (of_espeak["end"] - of_espeak["start"]) / length
            assert phone.end - phone.start == pytest.approx(expected, abs=2)

    @pytest.fixture(scope="class")
    def model_folder(self, tmp_path_factory) -> Path:
        """A CTC model with random weights and its processor, as they lie on the Hub."""
        import json

        import torch
        from transformers import (
            Wav2Vec2Config,
            Wav2Vec2CTCTokenizer,
            Wav2Vec2FeatureExtractor,
            Wav2Vec2ForCTC,
            Wav2Vec2Processor,
        )

        folder = tmp_path_factory.mktemp("ctc")
        (folder / "vocab.json").write_text(json.dumps(LETTERS))
        tokenizer = Wav2Vec2CTCTokenizer(folder / "vocab.json", pad_token="<pad>", unk_token="<unk>")
        torch.manual_seed(0)
        config = Wav2Vec2Config(
            vocab_size=len(LETTERS),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            conv_dim=(8, 8, 8),
            conv_stride=(5, 8, 8),
            conv_kernel=(10, 8, 8),
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
            pad_token_id=0,
        )
        Wav2Vec2ForCTC(config).save_pretrained(folder)
        Wav2Vec2Processor(feature_extractor=Wav2Vec2FeatureExtractor(), tokenizer=tokenizer).save_pretrained(folder)
        return folder

    def test_a_model_from_a_folder(self, model_folder):
        speech = EspeakSynthesizer().render("The little dog sat on the well-known chair.")
        text = " ".join(word["word"] for word in speech.words)
        aligner = load_aligner(f"ctc:{model_folder}")
        with pytest.raises(AlignmentError, match=r"does not match the recording: the model reads \d+% of its letters"):
            aligner.align(speech.audio, text)
        aligner.min_score = -np.inf
        alignment = aligner.align(speech.audio, text)
        assert alignment.score < -0.5
        try:
            rendering = finish_alignment(speech.audio, text, alignment)
        except AlignmentError as error:
            pytest.fail(str(error))
        check(rendering, text)
        assert [p["phone"] for p in rendering.phones if p["phone"] != SIL] == [
            phone["phone"] for phone in speech.phones if phone["phone"] != SIL
        ]

    def test_mistakes_are_named(self, model_folder, tmp_path):
        with pytest.raises(FileNotFoundError, match="No CTC model with its processor was found"):
            load_aligner(f"ctc:{tmp_path}")
        aligner = CtcAligner.from_pretrained(str(model_folder))
        with pytest.raises(AlignmentError, match="too many for"):
            aligner.min_score = -np.inf
            aligner.align(np.zeros(8000, np.int16), "The little dog sat on the chair for a very long time.")


def textgrid(words: list[tuple[str, float, float]], phones: list[tuple[str, float, float]]) -> str:
    """A TextGrid as the Montreal aligner writes it."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {phones[-1][2]}"]
    lines += ["tiers? <exists>", "size = 2", "item []:"]
    for number, (name, intervals) in enumerate((("words", words), ("phones", phones)), 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"']
        lines += [
            "        xmin = 0",
            f"        xmax = {intervals[-1][2]}",
            f"        intervals: size = {len(intervals)}",
        ]
        for index, (label, start, end) in enumerate(intervals, 1):
            lines += [f"        intervals [{index}]:", f"            xmin = {start}", f"            xmax = {end}"]
            lines += [f'            text = "{label}"']
    return "\n".join(lines) + "\n"


class TestTextGrid:
    AUDIO = np.zeros(16_000, np.int16)
    WORDS = [("", 0, 0.2), ("well", 0.2, 0.4), ("known", 0.4, 0.7), ("xyz", 0.7, 0.9), ("", 0.9, 1.0)]
    PHONES = [
        *(("sil", 0, 0.2), ("W", 0.2, 0.25), ("EH1", 0.25, 0.3), ("L", 0.3, 0.4)),
        *(("N", 0.4, 0.5), ("OW1", 0.5, 0.6), ("N", 0.6, 0.7), ("spn", 0.7, 0.9), ("", 0.9, 1.0)),
    ]

    def write(self, folder: Path, words=WORDS, phones=PHONES, name: str = "a", encoding: str = "utf-8") -> None:
        (folder / f"{name}.TextGrid").write_text(textgrid(words, phones), encoding=encoding)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_words_and_phones_are_taken_over(self, tmp_path, encoding):
        (tmp_path / "speaker").mkdir()
        self.write(tmp_path / "speaker", encoding=encoding)
        text = "Well-known - xyz."
        aligner = load_aligner(f"textgrid:{tmp_path}")
        rendering = finish_alignment(self.AUDIO, text, aligner.align(self.AUDIO, text, "a"))
        check(rendering, text)
        assert [p["phone"] for p in rendering.phones] == ["SIL", "W", "EH1", "L", "N", "OW1", "N", "SPN", "SIL"]
        assert [(word["start"], word["end"]) for word in rendering.words] == [(0.2, 0.7), (0.7, 0.7), (0.7, 0.9)]
        assert aligner.align(self.AUDIO, text, "speaker/a").phones

    def test_quotes_and_other_tiers(self, tmp_path):
        grid = textgrid([('""hi""', 0, 1)], [("HH", 0, 0.5), ("AY1", 0.5, 1)])
        points = '    item [3]:\n class = "TextTier"\n name = "bells"\n points: size = 1\n number = 0.5\n mark = "x"\n'
        (tmp_path / "a.TextGrid").write_text(grid + points)
        tiers = read_textgrid(tmp_path / "a.TextGrid")
        assert list(tiers) == ["words", "phones"]
        assert tiers["words"] == [('"hi"', 0.0, 1.0)]

    @pytest.mark.parametrize(
        ("text", "words", "phones", "reason"),
        [
            ("Well known xyz", WORDS, [("x", 0, 1)], "a.TextGrid has the phone 'x', which is not ARPAbet"),
            ("Well known", WORDS, PHONES, "a.TextGrid has the word 'xyz' where the transcript has 'its end'"),
            ("Well done xyz", WORDS, PHONES, "a.TextGrid has the word 'known' where the transcript has 'done'"),
            ("Well known xyz more", WORDS, PHONES, "a.TextGrid ends before the transcript does"),
            (
                "Well known xyz",
                WORDS,
                [*PHONES[:-1], ("", 0.9, 3)],
                r"a.TextGrid is of 3.00 s, and the recording of 1.00",
            ),
            (
                "Well known xyz",
                WORDS,
                [("W", 0, 0.6), ("EH1", 0.5, 1)],
                "The intervals of tier 'phones' in a.TextGrid",
            ),
        ],
    )
    def test_what_does_not_fit_is_named(self, tmp_path, text, words, phones, reason):
        self.write(tmp_path, words, phones)
        with pytest.raises(AlignmentError, match=reason):
            TextGridAligner(tmp_path).align(self.AUDIO, text, "a")

    def test_missing_and_damaged_files(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="There is no folder"):
            TextGridAligner(tmp_path / "nowhere")
        with pytest.raises(FileNotFoundError, match=r"No \.TextGrid file lies in"):
            TextGridAligner(tmp_path)
        self.write(tmp_path)
        (tmp_path / "b.TextGrid").write_text('"ooTextFile"\n"TextGrid"\n0\n1\n<exists>\n')
        for speaker in ("x", "y"):
            (tmp_path / speaker).mkdir()
            self.write(tmp_path / speaker, name="c")
        aligner = TextGridAligner(tmp_path)
        for name, reason in {
            "b": "b.TextGrid is not a TextGrid in Praat's long text format",
            "c": "Several TextGrids are named 'c'",
            "d": "No TextGrid is named 'd'",
        }.items():
            with pytest.raises(AlignmentError, match=reason):
                aligner.align(self.AUDIO, "Well known xyz", name)
        assert aligner.align(self.AUDIO, "Well known xyz", "x/c").phones
