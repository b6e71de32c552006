"""Tables of transcripts as people save them, through to recordings."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoslm.datasets_scripts.recordings.sources import Recording, read_audio_folder


def write_audio(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full(800, 0.1), 16_000)


def read(folder: Path, table: str | bytes, name: str = "metadata.csv") -> list[Recording]:
    (folder / name).write_bytes(table if isinstance(table, bytes) else table.encode())
    return read_audio_folder(folder)


def told(recordings: list[Recording]) -> dict[str, str]:
    """What is said in each file that can be used."""
    assert [recording.problem for recording in recordings] == [None] * len(recordings)
    return {Path(recording.path).name: recording.text for recording in recordings}


@pytest.fixture
def folder(tmp_path) -> Path:
    write_audio(tmp_path, "wavs/c0.wav", "wavs/c1.wav", "wavs/c2.wav")
    return tmp_path


class TestNamesOfColumns:
    @pytest.mark.parametrize(
        "column",
        ["text", "transcription", "transcript", "sentence", "normalized_text", "raw_text", "Transcript", "TEXT"],
    )
    def test_transcripts_have_several_names(self, folder, column):
        rows = [{"file_name": f"wavs/c{i}.wav", column: f"Number {i}."} for i in range(3)]
        expected = {f"c{i}.wav": f"Number {i}." for i in range(3)}
        assert told(read(folder, "\n".join(map(json.dumps, rows)), "metadata.jsonl")) == expected
        (folder / "metadata.jsonl").unlink()
        for mark in ",;\t|":
            lines = [mark.join(["file_name", column]), *(f"wavs/c{i}.wav{mark}Number {i}." for i in range(3))]
            assert told(read(folder, "\n".join(lines))) == expected

    @pytest.mark.parametrize("column", ["file_name", "path", "audio_filepath", "audio", "wav_filename", "File Name"])
    def test_files_have_several_names(self, folder, column):
        rows = [{column: f"wavs/c{i}.wav", "transcript": f"Number {i}.", "client_id": f"s{i}"} for i in range(3)]
        recordings = read(folder, "\n".join(map(json.dumps, rows)), "metadata.jsonl")
        assert told(recordings) == {f"c{i}.wav": f"Number {i}." for i in range(3)}
        assert [recording.speaker for recording in recordings] == ["s0", "s1", "s2"]

    def test_a_table_without_transcripts_is_refused_by_its_columns(self, folder):
        with pytest.raises(ValueError, match="has the columns file_name, duration; it needs file_name and text"):
            read(folder, '{"file_name": "wavs/c0.wav", "duration": 1.0}', "metadata.jsonl")

    def test_a_row_without_a_transcript_is_one_bad_recording(self, folder):
        rows = [{"file_name": f"wavs/c{i}.wav", "transcript": text} for i, text in enumerate(["One.", None, "Two."])]
        recordings = read(folder, "\n".join(map(json.dumps, rows)), "metadata.jsonl")
        assert [recording.problem for recording in recordings] == [None, "Its transcript is empty.", None]


class TestPipes:
    @pytest.mark.parametrize("name", ["wavs/c{}.wav", "c{}.wav", "c{}", "./wavs/c{}.wav", "wavs\\c{}.wav"])
    def test_a_file_is_named_in_several_ways(self, folder, name):
        lines = [f"{name.format(i)}|No. {i}.|Number {i}." for i in range(3)]
        recordings = read(folder, "\n".join(lines))
        assert told(recordings) == {f"c{i}.wav": f"Number {i}." for i in range(3)}
        assert len({recording.document for recording in recordings}) == 3

    @pytest.mark.parametrize("place", ["/home/somebody/corpus/wavs", "DUMMY1"])
    def test_a_table_that_was_written_elsewhere(self, folder, place):
        recordings = read(folder, "\n".join(f"{place}/c{i}.wav|Number {i}." for i in range(3)))
        assert told(recordings) == {f"c{i}.wav": f"Number {i}." for i in range(3)}
        assert not any(recording.id.startswith("/") for recording in recordings)

    def test_a_path_that_is_whole(self, folder):
        recordings = read(folder, "\n".join(f"{folder}/wavs/c{i}.wav|Number {i}." for i in range(3)))
        assert [recording.id for recording in recordings] == ["wavs/c0", "wavs/c1", "wavs/c2"]

    @pytest.mark.parametrize("form", ["{}|{}|{}", "{}|{}|EN|{}"])
    def test_a_speaker_stands_in_the_middle(self, folder, form):
        lines = [form.format(f"wavs/c{i}.wav", f"s{i % 2}", f"It is number {i}.") for i in range(3)]
        recordings = read(folder, "\n".join(lines))
        assert told(recordings) == {f"c{i}.wav": f"It is number {i}." for i in range(3)}
        assert [recording.speaker for recording in recordings] == ["s0", "s1", "s0"]

    def test_a_speaker_stands_at_the_end(self, folder):
        recordings = read(folder, "\n".join(f"c{i}|It is number {i}.|s{i}" for i in range(3)))
        assert told(recordings)["c2.wav"] == "It is number 2."
        assert recordings[2].speaker == "s2"

    @pytest.mark.parametrize(("first", "speakers"), [("s{}", ["s0", "s1", "s0"]), ("row{0}{0}{1}", ["", "", ""])])
    def test_something_stands_in_front_of_the_file(self, folder, first, speakers):
        rows = [f"{first.format(i % 2, i)}|wavs/c{i}.wav|It is number {i}." for i in range(3)]
        recordings = read(folder, "\n".join(rows))
        assert told(recordings)["c2.wav"] == "It is number 2."
        assert [recording.speaker for recording in recordings] == speakers

    def test_tabs_without_names_of_columns(self, folder):
        recordings = read(folder, "\n".join(f"c{i}.wav\tIt is, number {i}." for i in range(3)), "metadata.tsv")
        assert told(recordings)["c2.wav"] == "It is, number 2."

    def test_columns_with_names(self, folder):
        lines = ["audio_file|text|speaker_name", *(f'wavs/c{i}.wav|"Number" {i}.|s{i}' for i in range(3))]
        recordings = read(folder, "\n".join(lines))
        assert told(recordings)["c1.wav"] == '"Number" 1.'
        assert recordings[1].speaker == "s1"

    def test_transcripts_of_one_word(self, folder):
        assert told(read(folder, "c0|0|zero\nc1|1|one\nc2|2|two"))["c1.wav"] == "one"

    def test_quotation_marks_are_what_they_are(self, folder):
        recordings = read(folder, 'c0|He said "so.\nc1|"So," he said.\nc2|"He said ""so""."')
        assert [recording.text for recording in recordings] == ['He said "so.', '"So," he said.', 'He said "so".']

    def test_a_normalised_text_that_is_empty_leaves_the_other(self, folder):
        assert told(read(folder, "c0|Number 0.|\nc1|Number 1.|Number one.\nc2|Number 2.|"))["c0.wav"] == "Number 0."

    def test_a_name_that_may_mean_two_files_is_not_guessed(self, folder):
        write_audio(folder, "other/c0.wav")
        recordings = read(folder, "c0|Number 0.\nc1|Number 1.\nwavs/c2.wav|Number 2.")
        assert recordings[0].problem == (
            "Its audio file may be other/c0.wav and wavs/c0.wav: the table has to name the folder."
        )
        assert [recording.problem for recording in recordings[1:3]] == [None, None]

    def test_a_file_of_another_folder_is_not_taken(self, folder):
        recordings = read(folder, "emma/c0.wav|Number 0.\nwavs/c1.wav|Number 1.")
        assert recordings[0].problem == "Its audio file c0.wav is missing."

    def test_another_format_than_the_table_says(self, folder):
        write_audio(folder, "wavs/c3.flac")
        assert Path(read(folder, "wavs/c3.wav|Number 3.\nwavs/c0.wav|Number 0.")[0].path).name == "c3.flac"


class TestQuotations:
    """In a file with commas, a quotation mark may begin a cell, or be part of a transcript that nobody quoted."""

    def test_one_that_is_never_closed_takes_no_other_row_with_it(self, folder):
        table = 'file_name,text\nwavs/c0.wav,"He said so.\nwavs/c1.wav,"Yes, and no.\nwavs/c2.wav,Three.\n'
        assert told(read(folder, table)) == {
            "c0.wav": '"He said so.',
            "c1.wav": '"Yes, and no.',
            "c2.wav": "Three.",
        }

    def test_one_that_is_closed_in_another_row(self, folder):
        table = 'id,text\nc0,"He said so.\nc1,She said no."\nc2,Three.\n'
        assert told(read(folder, table)) == {"c0.wav": '"He said so.', "c1.wav": 'She said no."', "c2.wav": "Three."}

    def test_one_that_is_never_closed_in_a_long_file(self, tmp_path):
        write_audio(tmp_path, "c0.wav")
        rows = [f"c{i}.wav,{'word ' * 20}{i}" for i in range(3000)]
        rows[7] = 'c7.wav,"He said so.'
        recordings = read(tmp_path, "\n".join(["file_name,text", *rows]))
        assert len(recordings) == 3000
        assert recordings[7].text == '"He said so.'
        assert recordings[2999].text.endswith("2999")

    def test_one_that_is_never_closed_before_other_columns(self, folder):
        rows = ['wavs/c0.wav,"So.,a', 'wavs/c1.wav,"Yes, and no.,b', 'wavs/c2.wav,"Three, or four.",c']
        first, second, third = read(folder, "\n".join(["file_name,text,speaker", *rows]))
        assert (first.text, first.speaker, first.problem) == ('"So.', "a", None)
        assert second.problem == "Line 3 of metadata.csv has a quotation mark that is never closed."
        assert (third.text, third.speaker, third.problem) == ("Three, or four.", "c", None)

    def test_a_cell_may_go_on_in_the_next_line(self, folder):
        table = 'file_name,text\nwavs/c0.wav,"One,\ntwo ""three""."\nwavs/c1.wav,Four.\nwavs/c2.wav,Five.\n'
        assert told(read(folder, table))["c0.wav"] == 'One,\ntwo "three".'

    def test_commas_that_nobody_quoted_are_part_of_the_last_text(self, folder):
        table = 'file_name,text\nwavs/c0.wav,One, two.\nwavs/c1.wav,"Yes," he said, "no."\nwavs/c2.wav,Three,,\n'
        assert told(read(folder, table)) == {
            "c0.wav": "One, two.",
            "c1.wav": '"Yes," he said, "no."',
            "c2.wav": "Three",
        }

    def test_commas_that_nobody_quoted_before_other_columns(self, folder):
        recordings = read(folder, "file_name,text,speaker\nwavs/c0.wav,One, two.,a\nwavs/c1.wav,Three.,b\n")
        assert recordings[0].problem == "Line 2 of metadata.csv has more columns than its header."
        assert recordings[1].problem is None

    def test_a_cell_of_any_length(self, folder):
        assert (
            len(told(read(folder, f"file_name,text\nwavs/c0.wav,{'a ' * 100_000}\nwavs/c1.wav,b\nwavs/c2.wav,c"))) == 3
        )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(folder, encoding, end):
    table = end.join(["file_name,text", *(f"wavs/c{i}.wav,Café {i}." for i in range(3))])
    assert told(read(folder, table.encode(encoding)))["c2.wav"] == "Café 2."


def test_another_encoding_is_named(folder):
    with pytest.raises(ValueError, match=r"metadata\.csv is not UTF-8 text; save it as UTF-8"):
        read(folder, "file_name,text\nwavs/c0.wav,Café.".encode("latin-1"))


def test_librispeech_with_tabs(tmp_path):
    write_audio(tmp_path, "84/121123/84-121123-0000.flac")
    recordings = read(tmp_path, "84-121123-0000\tGO DO YOU HEAR\n", "84/121123/84-121123.trans.txt")
    assert told(recordings) == {"84-121123-0000.flac": "Go do you hear"}
