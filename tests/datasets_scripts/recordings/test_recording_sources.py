import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoslm.datasets_scripts.recordings.hub import read_hub_recordings
from evoslm.datasets_scripts.recordings.layout import topic_of
from evoslm.datasets_scripts.recordings.reading import read_speech
from evoslm.datasets_scripts.recordings.sources import read_audio_folder, read_libriheavy


def tone(seconds: float, rate: int = 16_000, channels: int = 1, frequency: float = 300.0) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave[:, None], (1, channels)).astype(np.float32)


def write(path: Path, seconds: float = 0.2, rate: int = 16_000, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds, rate), rate, **options)
    return path


def problems(recordings) -> dict[str, str | None]:
    return {recording.id: recording.problem for recording in recordings}


class TestReading:
    @pytest.mark.parametrize(
        ("suffix", "subtype"),
        [
            ("wav", "PCM_U8"),
            ("wav", "PCM_16"),
            ("wav", "PCM_24"),
            ("wav", "FLOAT"),
            ("wav", "DOUBLE"),
            ("wav", "ULAW"),
            ("flac", "PCM_16"),
            ("ogg", "VORBIS"),
            ("mp3", "MPEG_LAYER_III"),
        ],
    )
    def test_every_format_gives_the_same_sound(self, tmp_path, suffix, subtype):
        path = write(tmp_path / f"a.{suffix}", seconds=0.5, subtype=subtype)
        samples = read_speech(path)
        assert samples.dtype == np.int16
        assert abs(len(samples) - 8000) <= 1200  # lossy formats may add a block
        inner = samples[2000:6000].astype(float)
        assert inner.std() / 32768 == pytest.approx(0.5 / np.sqrt(2), rel=0.05)

    @pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
    @pytest.mark.parametrize("channels", [1, 2, 6])
    def test_rates_and_channels_become_16_khz_mono(self, tmp_path, rate, channels):
        soundfile.write(tmp_path / "a.wav", tone(0.5, rate, channels), rate)
        samples = read_speech(tmp_path / "a.wav")
        expected = tone(0.5)[:, 0] * 32767
        assert len(samples) == 8000
        assert np.abs(samples - expected)[800:-800].max() < 150

    def test_a_stretch_is_the_same_as_that_of_the_whole(self, tmp_path):
        wave = np.random.default_rng(0).uniform(-0.5, 0.5, 32_000)
        soundfile.write(tmp_path / "a.flac", wave, 16_000)
        whole = read_speech(tmp_path / "a.flac")
        assert np.array_equal(read_speech(tmp_path / "a.flac", 0.5, 1.25), whole[8000:20000])

    @pytest.mark.parametrize("stretch", [(1.9, 2.2), (3.0, 4.0), (-1.0, 1.0), (1.0, 1.0)])
    def test_a_cut_outside_its_recording(self, tmp_path, stretch):
        path = write(tmp_path / "a.wav", seconds=2)
        with pytest.raises(ValueError, match=r"The cut from .* is not in a\.wav, which is of 2\.00 s"):
            read_speech(path, *stretch)

    def test_a_cut_may_end_a_rounding_behind_its_recording(self, tmp_path):
        assert len(read_speech(write(tmp_path / "a.wav", seconds=2), 1.0, 2.01)) == 16_000

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(ValueError, match=r"a\.wav is missing"):
            read_speech(tmp_path / "a.wav")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", r"a\.wav is empty"),
            (b"This is text, and not a sound at all.", r"a\.wav cannot be read as audio"),
            (b"RIFF\x24\x00\x00\x00WAVEfmt ", r"a\.wav cannot be read as audio"),
        ],
    )
    def test_files_that_are_no_audio(self, tmp_path, content, reason):
        (tmp_path / "a.wav").write_bytes(content)
        with pytest.raises(ValueError, match=reason):
            read_speech(tmp_path / "a.wav")

    @pytest.mark.parametrize("suffix", ["wav", "flac"])
    def test_truncated_files(self, tmp_path, suffix):
        wave = np.random.default_rng(0).uniform(-0.5, 0.5, 32_000)
        path = tmp_path / f"a.{suffix}"
        soundfile.write(path, wave, 16_000)
        path.write_bytes(path.read_bytes()[:20_000])
        with pytest.raises(ValueError, match=rf"a\.{suffix} (is truncated|cannot be read)"):
            read_speech(path)

    def test_sounds_that_are_no_speech(self, tmp_path):
        damaged = tone(1.0)
        damaged[5000] = np.nan
        for name, samples in {
            "none": np.zeros((0, 1)),
            "silent": np.zeros((16_000, 1)),
            "opposite": tone(1.0) * np.array([[1, -1]]),
            "clipped": np.clip(4 * tone(1.0), -1, 1),
            "number": damaged,
        }.items():
            soundfile.write(tmp_path / f"{name}.wav", samples, 16_000, subtype="FLOAT")
        for name, reason in {
            "none": "has no samples",
            "silent": "is silent",
            "opposite": "is silent",
            "clipped": r"is clipped: \d+\.\d% of its samples",
            "number": "has samples that are not numbers",
        }.items():
            with pytest.raises(ValueError, match=rf"{name}\.wav {reason}"):
                read_speech(tmp_path / f"{name}.wav")

    def test_a_few_samples_at_full_scale_are_no_clipping(self, tmp_path):
        wave = np.random.default_rng(0).laplace(size=16_000)
        soundfile.write(tmp_path / "a.wav", wave / np.abs(wave).max(), 16_000)
        assert len(read_speech(tmp_path / "a.wav")) == 16_000


class TestFolder:
    def test_ljspeech(self, tmp_path):
        for name in ("LJ001-0001", "LJ001-0002", "LJ002-0001"):
            write(tmp_path / "wavs" / f"{name}.wav")
        (tmp_path / "metadata.csv").write_text(
            'LJ001-0001|In 1455,|In fourteen fifty-five,\nLJ001-0002|He said "so.|He said "so.\n'
            "LJ001-0003|Gone.|Gone.\nLJ002-0001||\n"
        )
        write(tmp_path / "wavs" / "LJ009-0009.wav")
        recordings = read_audio_folder(tmp_path)
        first = recordings[0]
        assert (first.id, first.document, first.speaker) == ("LJ001-0001", "LJ001", "LJSpeech")
        assert first.text == "In fourteen fifty-five,"
        assert Path(first.path).name == "LJ001-0001.wav"
        assert recordings[1].text == 'He said "so.'
        assert problems(recordings) == {
            "LJ001-0001": None,
            "LJ001-0002": None,
            "LJ001-0003": "Its audio file is missing.",
            "LJ002-0001": "Its transcript is empty.",
            "wavs/LJ009-0009.wav": "It has no transcript.",
        }

    def test_audiofolder_with_csv(self, tmp_path):
        write(tmp_path / "a.wav")
        write(tmp_path / "emma" / "b.flac")
        (tmp_path / "metadata.csv").write_text(
            'file_name,transcription,speaker_id\na.wav,"One, two.",7\nemma/b.flac,Three.,\nc.wav,Four.,8\n'
        )
        recordings = read_audio_folder(tmp_path)
        assert [(r.id, r.document, r.speaker, r.text, r.split) for r in recordings] == [
            ("a", "a", "7", "One, two.", None),
            ("emma/b", "emma", "", "Three.", None),
            ("c", "c", "8", "Four.", None),
        ]
        assert [r.problem for r in recordings] == [None, None, "Its audio file c.wav is missing."]

    def test_audiofolder_with_splits(self, tmp_path):
        for split in ("train", "dev", "test"):
            write(tmp_path / split / "a.wav")
            row = {"file_name": "a.wav", "text": f"Of {split}.", "speaker": "x", "document": "d", "topic": "t"}
            (tmp_path / split / "metadata.jsonl").write_text(json.dumps(row) + "\n")
        recordings = {recording.id: recording for recording in read_audio_folder(tmp_path)}
        assert {name: r.split for name, r in recordings.items()} == {
            "train/a": "train",
            "dev/a": "validation",
            "test/a": "test",
        }
        assert recordings["dev/a"].text == "Of dev."
        assert (recordings["dev/a"].document, recordings["dev/a"].topic) == ("d", "t")

    def test_librispeech(self, tmp_path):
        chapter = tmp_path / "dev-clean" / "84" / "121123"
        write(chapter / "84-121123-0000.flac")
        (chapter / "84-121123.trans.txt").write_text("84-121123-0000 GO DO YOU HEAR\n84-121123-0001 AND I WILL\n")
        found, missing = read_audio_folder(tmp_path)
        assert (found.id, found.document, found.speaker) == ("84-121123-0000", "84-121123", "84")
        assert (found.text, found.split) == ("Go do you hear", "validation")
        assert missing.text == "And I will"
        assert missing.problem == "Its audio file is missing."
        assert found.topic is None
        header = ";ID |READER|MINUTES| SUBSET | PROJ.|BOOK ID| CH. TITLE | PROJECT TITLE\n"
        row = "121123 | 84 | 9.92 | dev-clean | 53 | 1184 | Chapter 1 | The Count of Monte Cristo\n"
        (tmp_path / "CHAPTERS.TXT").write_text(header + row)
        assert {recording.topic for recording in read_audio_folder(tmp_path)} == {"1184"}

    def test_capitals_of_a_table_become_small_letters(self, tmp_path):
        write(tmp_path / "a.wav")
        write(tmp_path / "b.wav")
        (tmp_path / "metadata.csv").write_text("file_name,text\na.wav,HE HOPED I WAS THERE\nb.wav,The FBI came.\n")
        assert [r.text for r in read_audio_folder(tmp_path)] == ["He hoped I was there", "The FBI came."]

    def test_lists_of_split_folders_may_name_the_same_files(self, tmp_path):
        for split in ("train", "test"):
            write(tmp_path / split / "wavs" / "c0.wav")
            (tmp_path / split / "metadata.csv").write_text(f"c0|Of {split}.|Of {split}.\n")
        assert {(r.id, r.split, r.text) for r in read_audio_folder(tmp_path)} == {
            ("train/c0", "train", "Of train."),
            ("test/c0", "test", "Of test."),
        }

    def test_folders_of_audio_are_no_documents(self, tmp_path):
        names = ("wavs/a.wav", "emma/wavs/b.wav", "train/c.wav", "training_your_dog/d.wav")
        for name in names:
            write(tmp_path / name)
        rows = "".join(f"{name},One.\n" for name in names)
        (tmp_path / "metadata.csv").write_text("file_name,text\n" + rows)
        found = {r.id[-1]: (r.document, topic_of(r.document), r.split) for r in read_audio_folder(tmp_path)}
        assert found == {
            "a": ("wavs/a", "a", None),
            "b": ("emma/wavs", "emma", None),
            "c": ("train/c", "c", "train"),
            "d": ("training_your_dog", "training_your_dog", None),
        }

    def test_a_split_that_nobody_knows_is_said(self, tmp_path, caplog):
        write(tmp_path / "a.wav")
        (tmp_path / "metadata.csv").write_text("file_name,text,split\na.wav,One.,fold-1\n")
        assert [recording.split for recording in read_audio_folder(tmp_path)] == [None]
        assert "The splits fold-1 in" in caplog.text and "are none of train, validation and test" in caplog.text

    def test_what_a_recording_is_taken_for_does_not_depend_on_where_it_lies(self, tmp_path):
        for place in ("here", "there"):
            write(tmp_path / place / "a.wav")
            (tmp_path / place / "metadata.csv").write_text("file_name,text\na.wav,One.\n")
        here, there = (repr(read_audio_folder(tmp_path / place)) for place in ("here", "there"))
        assert here == there
        write(tmp_path / "there" / "a.wav", seconds=0.3)
        assert repr(read_audio_folder(tmp_path / "there")) != here

    def test_mistakes_are_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere"):
            read_audio_folder(tmp_path / "nowhere")
        with pytest.raises(FileNotFoundError, match="No transcripts are in"):
            read_audio_folder(tmp_path)
        metadata = tmp_path / "metadata.csv"
        metadata.write_text("file,words\na.wav,One.\n")
        with pytest.raises(ValueError, match=r"has the columns file, words; it needs file_name and text"):
            read_audio_folder(tmp_path)
        metadata.write_text("file_name,text,id\na.wav,One.,x\nb.wav,Two.,x\n")
        with pytest.raises(ValueError, match="have the id 'x'"):
            read_audio_folder(tmp_path)
        metadata.unlink()
        (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.wav"\n')
        with pytest.raises(ValueError, match=r"Line 1 of .*metadata\.jsonl is not JSON"):
            read_audio_folder(tmp_path)


def cut(name: str, source: str, start: float, duration: float) -> dict:
    return {
        "id": name,
        "start": start,
        "duration": duration,
        "channel": 0,
        "supervisions": [
            {
                "id": name,
                "recording_id": "small/100/emma/01",
                "start": 0,
                "duration": duration,
                "speaker": "100",
                "custom": {"texts": [f"Text of {name}.", "TEXT OF IT"], "begin_byte": 0},
            }
        ],
        "recording": {
            "id": "small/100/emma/01",
            "sources": [{"type": "file", "channels": [0], "source": source}],
            "sampling_rate": 16_000,
            "num_samples": 160_000,
            "duration": 10.0,
        },
        "type": "MonoCut",
    }


class TestLibriHeavy:
    SOURCE = "download/librilight/small/100/emma/01.flac"

    def manifest(self, path: Path, *lines) -> Path:
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.writelines((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        return path

    def test_cuts_are_stretches_of_long_recordings(self, tmp_path):
        wave = np.random.default_rng(0).uniform(-0.5, 0.5, 160_000)
        (tmp_path / "audio" / "small" / "100" / "emma").mkdir(parents=True)
        soundfile.write(tmp_path / "audio" / "small" / "100" / "emma" / "01.flac", wave, 16_000)
        path = self.manifest(
            tmp_path / "libriheavy_cuts_small.jsonl.gz",
            cut("01_0", self.SOURCE, 0.0, 2.0),
            cut("01_1", self.SOURCE, 2.5, 1.5),
        )
        stream = read_libriheavy(path, tmp_path / "audio")
        first, second = stream
        assert [first, second] == list(stream)
        assert (second.id, second.document, second.topic) == ("01_1", "small/100/emma/01", "emma")
        assert (second.text, second.speaker, second.split) == ("Text of 01_1.", "100", None)
        whole = read_speech(second.path)
        assert np.array_equal(read_speech(second.path, second.start, second.end), whole[40_000:64_000])

    def test_manifests_of_a_folder_have_their_splits(self, tmp_path):
        for name in ("small", "dev", "test_clean"):
            self.manifest(tmp_path / f"libriheavy_cuts_{name}.jsonl.gz", cut(name, self.SOURCE, 0.0, 2.0))
        recordings = {recording.id: recording for recording in read_libriheavy(tmp_path, tmp_path)}
        assert {name: r.split for name, r in recordings.items()} == {
            "small": None,
            "dev": "validation",
            "test_clean": "test",
        }
        assert recordings["dev"].problem == "Its audio file 01.flac is missing."

    def test_a_line_that_is_no_cut_is_one_bad_recording(self, tmp_path):
        broken = cut("x", self.SOURCE, 0.0, 2.0)
        del broken["supervisions"][0]["custom"]
        path = self.manifest(tmp_path / "libriheavy_cuts_small.jsonl.gz", "{", broken, cut("y", self.SOURCE, 0.0, 1.0))
        found = problems(read_libriheavy(path, tmp_path))
        assert list(found) == ["libriheavy_cuts_small.jsonl.gz:1", "libriheavy_cuts_small.jsonl.gz:2", "y"]
        assert found["libriheavy_cuts_small.jsonl.gz:2"] == "It is no Lhotse cut with a text (KeyError: 'custom')."

    def test_a_damaged_manifest(self, tmp_path):
        lines = [cut(f"{np.random.default_rng(i).bytes(40).hex()}", self.SOURCE, 0.0, 2.0) for i in range(200)]
        path = self.manifest(tmp_path / "libriheavy_cuts_small.jsonl.gz", *lines)
        path.write_bytes(path.read_bytes()[:-300])
        with pytest.raises(ValueError, match=r"libriheavy_cuts_small\.jsonl\.gz is damaged"):
            list(read_libriheavy(path, tmp_path))

    def test_missing_manifest_and_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="There is no manifest"):
            read_libriheavy(tmp_path / "no.jsonl.gz", tmp_path)
        path = self.manifest(tmp_path / "libriheavy_cuts_small.jsonl.gz")
        with pytest.raises(FileNotFoundError, match="There is no folder"):
            read_libriheavy(path, tmp_path / "nowhere")


class TestHub:
    @pytest.fixture
    def dataset(self, tmp_path) -> str:
        import pyarrow as pa
        import pyarrow.parquet as pq

        sounds = [write(tmp_path / f"{name}.flac").read_bytes() for name in "ab"]
        rows = [
            {"key": "a", "who": "x", "said": "One.", "sound": {"bytes": sounds[0], "path": "a.flac"}},
            {"key": "b", "who": "y", "said": "TWO ", "sound": {"bytes": sounds[1], "path": "b.flac"}},
            {"key": "c", "who": "y", "said": " ", "sound": {"bytes": sounds[1], "path": "c.flac"}},
            {"key": "d", "who": None, "said": "Four.", "sound": None},
        ]
        (tmp_path / "dataset").mkdir()
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "dataset" / "train.parquet")
        return str(tmp_path / "dataset")

    def test_rows_are_recordings(self, dataset, tmp_path):
        options = {"text_column": "said", "audio_column": "sound", "id_column": "key", "speaker_column": "who"}
        recordings = list(read_hub_recordings(dataset, **options, cache_dir=tmp_path / "cache"))
        assert [(r.id, r.speaker, r.text) for r in recordings[:2]] == [("a", "x", "One."), ("b", "y", "Two")]
        assert problems(recordings) == {
            "a": None,
            "b": None,
            "c": "Its transcript is empty.",
            "d": "Its audio file is missing.",
        }
        assert len(read_speech(recordings[0].path)) == 3200
        assert list(read_hub_recordings(dataset, **options, cache_dir=tmp_path / "cache")) == recordings
        few = read_hub_recordings(dataset, "said", "sound", max_recordings=1, cache_dir=tmp_path / "cache")
        assert [recording.id for recording in few] == ["row-0000000"]

    def test_mistakes_are_named(self, dataset, tmp_path):
        with pytest.raises(ValueError, match=r"has no column 'audio'; its columns are key, said, sound, who"):
            read_hub_recordings(dataset, cache_dir=tmp_path)
        with pytest.raises(ValueError, match="cannot be read with configuration None and split 'more'"):
            read_hub_recordings(dataset, split="more", cache_dir=tmp_path)
        with pytest.raises(FileNotFoundError, match="cannot be found"):
            read_hub_recordings(str(tmp_path / "nowhere"), cache_dir=tmp_path)
