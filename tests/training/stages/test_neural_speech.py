import json
from dataclasses import replace

import pytest

from evoslm.datasets_scripts.text.passages import SPLITS, Passage, write_passages
from evoslm.training.cli import main
from evoslm.training.run.execution import Execution
from evoslm.training.run.stage import Stage, read_stage
from evoslm.training.stages.speech import SpeechSettings, build_utterances

pytest.importorskip("onnx", reason="Piper's voices need evoslm[piper]")
pytest.importorskip("onnxruntime", reason="Piper's voices need evoslm[piper]")
from tiny_piper_voice import SPEAKERS, write_voice

SPEECH = SpeechSettings("many", "fixed", 0, 0.05, 30.0)


def test_speech_is_redone_for_another_voice_and_not_for_another_place(tmp_path):
    passages = tmp_path / "passages"
    said = [Passage(split, split, "dogs", split, ("The dog saw a cat.",)) for split in SPLITS]
    Stage(passages, 1, {}).run(lambda folder: write_passages(said, folder / "passages.parquet"))
    here = replace(SPEECH, synthesizer=f"piper:{write_voice(tmp_path / 'here', SPEAKERS)}")
    build_utterances(tmp_path / "speech", passages, here, Execution())
    record = read_stage(tmp_path / "speech")
    assert record["keys"]["configuration.synthesis.voice"] == "en_US-tiny-low"
    assert "onnxruntime" in record["versions"] and str(tmp_path) not in str(record)
    there = replace(SPEECH, synthesizer=f"piper:{write_voice(tmp_path / 'there', SPEAKERS)}")
    build_utterances(tmp_path / "speech", passages, there, Execution())
    assert read_stage(tmp_path / "speech") == record
    two = replace(SPEECH, synthesizer=f"piper:{write_voice(tmp_path / 'two', {'ann': 0, 'bob': 1})}")
    for settings, differing in ((two, "synthesis.files"), (SPEECH, "synthesis.synthesizer")):
        with pytest.raises(ValueError, match=rf"was made with another configuration: .*{differing}"):
            build_utterances(tmp_path / "speech", passages, settings, Execution())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--synthesizer", "festival"], "Unknown synthesizer 'festival'; choose from espeak, piper:VOICE."),
        (["--synthesizer", "piper:nowhere"], "There is no folder nowhere of a Piper voice; give one, or a path"),
        (["--synthesizer", "piper:{one}"], "The voice en_US-tiny-low has a single speaker; pass --voices one."),
        (
            ["--synthesizer", "piper:{one}", "--corpus", "audio", "--audio_dir", "{one}"],
            "Minimal pairs of recordings are spoken in many voices, and piper:{one} has a single speaker; choose",
        ),
    ],
)
def test_what_a_voice_lacks_is_said_before_anything_is_made(tmp_path, capsys, flags, message):
    one = write_voice(tmp_path / "one")
    run = ["--preset", "smoke", "--output_dir", str(tmp_path / "run")]
    assert main(["study", *run, *(flag.format(one=one) for flag in flags)]) == 2
    error = capsys.readouterr().err
    assert message.format(one=one) in error and len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_voice_that_lacks_a_phoneme_is_refused_before_anything_is_made(tmp_path, capsys):
    """Not passage by passage, until more than a few are skipped."""
    path = write_voice(tmp_path / "voice") / "en_US-tiny-low.onnx.json"
    said = json.loads(path.read_text())
    del said["phoneme_id_map"]["ð"]
    path.write_text(json.dumps(said))
    run = ["--preset", "smoke", "--output_dir", str(tmp_path / "run"), "--voices", "one"]
    for command in ("study", "build-dataset"):
        assert main([command, *run, "--synthesizer", f"piper:{tmp_path / 'voice'}"]) == 2
        error = capsys.readouterr().err
        assert "its phoneme_id_map lacks 'ð'; choose another voice" in error and len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()
