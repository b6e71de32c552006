"""What is whole and what is cut off, in every container: files of libsndfile with some of their bytes changed."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoslm.datasets_scripts.recordings.reading import read_speech, read_waveform

RATE = 16_000
SECONDS = 3


def noise(seconds: float = SECONDS) -> np.ndarray:
    """Silence and then noise, so that an MP3's bit rate says nothing about its length."""
    wave = np.random.default_rng(0).laplace(scale=0.05, size=round(seconds * RATE)).clip(-0.9, 0.9)
    wave[: len(wave) // 2] *= 1e-3
    return wave


def encoded(kind: str, subtype: str = "PCM_16", wave: np.ndarray | None = None, **options) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, noise() if wave is None else wave, RATE, format=kind, subtype=subtype, **options)
    return file.getvalue()


def mp3(**options) -> bytes:
    return encoded("MP3", "MPEG_LAYER_III", bitrate_mode="VARIABLE", **options)


def frames_of(data: bytes) -> list[int]:
    """Where the frames of an MP3 of 16 kHz begin, that of the header first, and where the last one ends."""
    rates = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
    starts = [0]
    while starts[-1] < len(data):
        head = data[starts[-1] :]
        assert head[:2] == b"\xff\xf3"
        starts.append(starts[-1] + 72_000 * rates[head[2] >> 4] // RATE + (head[2] >> 1 & 1))
    return starts


def seconds_of(frames: int) -> float:
    """Of an MP3 at 16 kHz, less the samples by which a decoder is late."""
    return pytest.approx((frames * 576 - 529) / RATE)


def changed(data: bytes, at: int, form: str, *values) -> bytes:
    new = struct.pack(form, *values)
    return data[:at] + new + data[at + len(new) :]


def seconds_read(path: Path, data: bytes) -> float:
    path.write_bytes(data)
    return len(read_speech(path)) / RATE


def assert_refused(path: Path, data: bytes, reason: str = "is truncated") -> None:
    """By both of the ways in which a recording is read."""
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"^a\.\w+ ({reason})"):
        read_speech(path)
    with pytest.raises(ValueError, match=rf"^The recording x ({reason})"):
        read_waveform(data, "x")


class TestMp3:
    def test_a_bit_rate_announces_no_length(self, tmp_path):
        data = mp3()
        starts = frames_of(data)
        bare = data[starts[1] :]
        assert abs(soundfile.info(io.BytesIO(bare)).duration / SECONDS - 1) > 0.3  # libsndfile's estimate
        assert seconds_read(tmp_path / "a.mp3", bare) == seconds_of(len(starts) - 2)
        assert len(read_waveform(bare, "x")) / RATE == seconds_of(len(starts) - 2)

    def test_a_bit_rate_that_falls_cuts_nothing_off(self, tmp_path):
        data = encoded("MP3", "MPEG_LAYER_III", noise()[::-1], bitrate_mode="VARIABLE")
        starts = frames_of(data)
        bare = data[starts[1] :]
        assert soundfile.info(io.BytesIO(bare)).duration < 0.7 * SECONDS
        assert seconds_read(tmp_path / "a.mp3", bare) == seconds_of(len(starts) - 2)

    def test_a_stretch_is_found_where_no_header_counts_frames(self, tmp_path):
        data = mp3()
        (tmp_path / "a.mp3").write_bytes(data[frames_of(data)[1] :])
        whole = read_speech(tmp_path / "a.mp3").astype(float)
        stretch = read_speech(tmp_path / "a.mp3", 2.0, 2.5)
        assert len(stretch) == RATE // 2
        assert np.corrcoef(stretch, whole[2 * RATE : 2 * RATE + RATE // 2])[0, 1] > 0.999
        with pytest.raises(ValueError, match="is not in a.mp3"):
            read_speech(tmp_path / "a.mp3", 3.5, 5.0)

    def test_what_ends_in_the_middle_of_its_last_frame_is_refused(self, tmp_path):
        data = mp3()
        starts = frames_of(data)
        for whole in (data, data[starts[1] :]):
            for missing in (1, 20, starts[-1] - starts[-2] - 1, starts[-1] - starts[-2] - 4):
                assert_refused(tmp_path / "a.mp3", whole[:-missing], "is truncated: it ends in the middle of a frame")

    def test_fewer_frames_than_xing_counts_are_refused(self, tmp_path):
        data = mp3()
        starts = frames_of(data)
        for last in (-2, -10, len(starts) // 2):
            assert_refused(tmp_path / "a.mp3", data[: starts[last]], r"is truncated: it has \d+ of \d+ frames")
        assert_refused(tmp_path / "a.mp3", data[: starts[20]] + data[starts[30] :], "is truncated: it has")

    def test_xing_that_counts_itself_or_counts_nothing(self, tmp_path):
        data = mp3()
        starts = frames_of(data)
        flags = data.index(b"Xing" if b"Xing" in data else b"Info") + 4
        count = struct.unpack_from(">I", data, flags + 4)[0]
        assert count == len(starts) - 2
        seconds = pytest.approx(SECONDS, abs=0.2)
        assert seconds_read(tmp_path / "a.mp3", changed(data, flags + 4, ">I", count + 1)) == seconds
        assert seconds_read(tmp_path / "a.mp3", changed(data, flags, ">I", 0)) == seconds
        # A count that is too small, as in files that were put one behind the other.
        assert seconds_read(tmp_path / "a.mp3", changed(data, flags + 4, ">I", count // 2)) == seconds

    def test_vbri_counts_frames(self, tmp_path):
        data = mp3()
        starts = frames_of(data)
        header = changed(bytearray(starts[1]), 0, "4s", data[:4])
        sound = data[starts[1] :]
        counts = struct.pack(">4sHHHII", b"VBRI", 1, 0, 75, len(data), len(starts) - 2)
        header = bytes(header[:36] + counts + header[36 + len(counts) :])
        assert seconds_read(tmp_path / "a.mp3", header + sound) == seconds_of(len(starts) - 2)
        assert_refused(
            tmp_path / "a.mp3", header + data[starts[1] : starts[-5]], r"is truncated: it has \d+ of \d+ fr"
        )

    def test_tags_in_front_and_behind_are_no_sound(self, tmp_path):
        data = mp3()
        bare = data[frames_of(data)[1] :]
        front = b"ID3\x04\x00\x00\x00\x00\x10\x00" + b"\xff\xf3\x84\xc4" * 512
        behind = b"TAG" + b"\0" * 125
        for sound in (data, bare):
            plain = seconds_read(tmp_path / "a.mp3", sound)
            for tagged in (front + sound, sound + behind, front + sound + behind, sound + b"\0\0"):
                assert seconds_read(tmp_path / "a.mp3", tagged) == plain


class TestWav:
    def test_the_size_of_the_file_in_its_header_announces_nothing(self, tmp_path):
        data = encoded("WAV")
        for size in (len(data), len(data) + 1000, 0, 0xFFFFFFFF, 36, 20):
            assert seconds_read(tmp_path / "a.wav", changed(data, 4, "<I", size)) == SECONDS

    def test_a_length_that_was_never_written_is_none(self, tmp_path):
        data = encoded("WAV")
        for size in (0, 0xFFFFFFFF, 0x7FFFF000, 0x80000000):
            for whole in (36, 0xFFFFFFFF):
                piped = changed(changed(data, 40, "<I", size), 4, "<I", whole)
                assert seconds_read(tmp_path / "a.wav", piped) == SECONDS
                assert_refused(tmp_path / "a.wav", piped[:-1], "is truncated: it ends in the middle of a sample")

    def test_chunks_behind_the_samples_may_be_cut(self, tmp_path):
        data = encoded("WAV") + b"LIST" + struct.pack("<I", 100) + b"INFO"
        assert seconds_read(tmp_path / "a.wav", data) == SECONDS

    def test_no_samples_are_none_although_chunks_follow(self, tmp_path):
        data = changed(encoded("WAV")[:44], 40, "<I", 0)
        for more in (b"", b"LIST" + struct.pack("<I", 4) + b"INFO"):
            (tmp_path / "a.wav").write_bytes(data + more)
            with pytest.raises(ValueError, match="has no samples"):
                read_speech(tmp_path / "a.wav")

    @pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"])
    def test_what_ends_early_is_refused_in_any_width(self, tmp_path, subtype):
        data = encoded("WAV", subtype)
        assert seconds_read(tmp_path / "a.wav", data) == pytest.approx(SECONDS, abs=0.1)
        for missing in (1, 300, len(data) // 2):
            assert_refused(tmp_path / "a.wav", data[:-missing])


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAVEX", "PCM_24"),
        ("RF64", "PCM_16"),
        ("W64", "PCM_16"),
        ("AIFF", "PCM_16"),
        ("AIFF", "PCM_24"),
        ("AIFF", "FLOAT"),
        ("AIFF", "ULAW"),
        ("AU", "PCM_16"),
        ("AU", "ULAW"),
        ("CAF", "PCM_16"),
        ("NIST", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
    ],
)
class TestEveryContainer:
    def test_what_is_there_to_its_end_is_whole(self, tmp_path, kind, subtype):
        assert seconds_read(tmp_path / "a.snd", encoded(kind, subtype)) == pytest.approx(SECONDS, abs=0.1)

    def test_what_ends_early_is_refused(self, tmp_path, kind, subtype):
        data = encoded(kind, subtype)
        for missing in (1, 2, 50, 5001, len(data) // 2):
            assert_refused(tmp_path / "a.snd", data[:-missing], "is truncated|cannot be read")


class TestStreamedContainers:
    """Files of programs that did not know the length."""

    def streamed(self) -> dict[str, bytes]:
        rf64, caf, au, w64 = encoded("RF64"), encoded("CAF"), encoded("AU"), encoded("W64")
        aiff, caf_data, w64_data = encoded("AIFF"), encoded("CAF").rindex(b"data\0"), encoded("W64").index(b"data")
        sound = aiff.index(b"SSND")
        return {
            "rf64 of 0": changed(rf64, 20, "<QQQ", 0, 0, 0),
            "rf64 of -1": changed(rf64, 20, "<qqq", -1, -1, -1),
            "caf": changed(caf, caf_data + 4, ">q", -1),
            "au of -1": changed(au, 8, ">I", 0xFFFFFFFF),
            "au of 0": changed(au, 8, ">I", 0),
            "w64 of 0": changed(w64, w64_data + 16, "<Q", 0),
            "aiff": changed(changed(aiff, 22, ">I", 0x7F000000), sound + 4, ">I", 0x7F000008),
        }

    def test_what_decodes_to_its_end_is_whole(self, tmp_path):
        for data in self.streamed().values():
            assert seconds_read(tmp_path / "a.snd", data) == SECONDS

    def test_what_ends_in_the_middle_of_a_sample_is_refused(self, tmp_path):
        for data in self.streamed().values():
            assert_refused(tmp_path / "a.snd", data[:-1], "is truncated: it ends in the middle of a sample")

    def test_flac_whose_header_has_no_length(self, tmp_path):
        for wave in (noise(), noise(2.9), noise(0.1)):
            data = encoded("FLAC", wave=wave)
            streamed = changed(data, 21, "B", data[21] & 0xF0)
            streamed = changed(streamed, 22, "I", 0)
            for tagged in (streamed, streamed + b"TAG" + bytes(125), b"ID3\x04\0\0\0\0\0\x04abcd" + streamed):
                (tmp_path / "a.flac").write_bytes(tagged)
                assert np.array_equal(read_speech(tmp_path / "a.flac"), read_waveform(data, "x"))
            for missing in (1, 50, len(data) // 2):
                assert_refused(tmp_path / "a.flac", streamed[:-missing], "is truncated: it ends in the middle of a fr")
        (tmp_path / "b.flac").write_bytes(changed(data, 22, ">I", 100_000))
        with pytest.raises(ValueError, match=r"b\.flac (is truncated|cannot be read)"):
            read_speech(tmp_path / "b.flac")


def test_frames_that_aiff_counts_are_there(tmp_path):
    assert_refused(tmp_path / "a.aiff", changed(encoded("AIFF"), 22, ">I", SECONDS * RATE + 1))


class TestOgg:
    def pages(self) -> list[bytes]:
        data = encoded("OGG", "VORBIS")
        starts = [i for i in range(len(data)) if data[i : i + 4] == b"OggS"]
        return [data[start:end] for start, end in zip(starts, [*starts[1:], None])]

    def test_what_lacks_its_last_page_is_refused(self, tmp_path):
        pages = self.pages()
        assert len(pages) > 4
        assert_refused(tmp_path / "a.ogg", b"".join(pages[:-1]), "is truncated: the page that ends it is missing")
        assert_refused(tmp_path / "a.ogg", b"".join(pages[:-1]) + pages[-1][:3])

    def test_what_lacks_a_page_in_its_middle_is_refused(self, tmp_path):
        pages = self.pages()
        assert_refused(tmp_path / "a.ogg", b"".join(pages[:2] + pages[3:]), "is truncated: pages are missing")
