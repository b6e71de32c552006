"""`evoslm zerospeech`: every modality of a run on the same official items, and the challenge's files."""

import json

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from zerospeech_layout import SENTENCES, VOICES, WORDS, make_layout

from evoslm.models.phones import ARPABET
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel
from evoslm.models.tokenizers.by_modality import train_tokenizer
from evoslm.training.cli import main
from evoslm.training.run.folder import Run
from evoslm.training.run.study_file import FORMAT

CONTENTS = {
    "text_raw": ["abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.,'"],
    "phone_raw": [" ".join(ARPABET)],
    "phone_repeat": [" ".join(ARPABET)],
    "speech_units": [],
    "speech_syllable_unsupervised": [],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What `evoslm zerospeech` reads of a finished run, with models that were never trained."""
    run = Run(tmp_path_factory.mktemp("run"), "many")
    run.utterances().mkdir(parents=True)
    run.study_file.write_text(json.dumps({"format": FORMAT, "voices": "many"}))
    (run.utterances() / "summary.json").write_text(json.dumps({"stretch_factor": 4}))
    for seed, (name, contents) in enumerate(CONTENTS.items()):
        tokenizer = train_tokenizer(name, contents, num_units=None if contents else 20)
        shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
        config = LlamaConfig(vocab_size=len(tokenizer), bos_token_id=tokenizer.bos_token_id, **shape)
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(run.model(name, 0))
        tokenizer.save_pretrained(run.model(name, 0))
    for name, config in (
        ("speech_units", {}),
        ("speech_syllable_unsupervised", {"segment_parts": 1, "segmentation": {}}),
    ):
        SpeechUnitModel(SpeechUnitConfig(num_units=20, **config)).save_pretrained(run.quantizer(name))
    return run


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return make_layout(tmp_path_factory.mktemp("zerospeech"))


def call(run, layout, folder, *flags):
    places = [str(run.folder), "--zerospeech_dir", str(layout), "--output_dir", str(folder)]
    return main(["zerospeech", *places, "--num_proc", "1", "--device", "cpu", *flags])


def test_every_modality_is_asked_the_official_items(run, layout, tmp_path, capsys):
    assert call(run, layout, tmp_path / "out") == 0
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "zerospeech.json").read_text())
    assert set(record["results"]) == {"text_raw", "phone_raw", "speech_units", "speech_syllable_unsupervised"}
    assert "would need times" in record["left_out"]["phone_repeat"] and "phone_repeat" in printed
    for name, by_rule in record["results"].items():
        assert set(by_rule["sum"]["lexical"]["by_voice"]) == set(VOICES)
        for task in ("lexical", "syntactic"):
            assert by_rule["sum"][task]["n"] == by_rule["mean"][task]["n"] == len(WORDS) == len(SENTENCES)
            lines = (tmp_path / "out" / "submission" / name / task / "dev.txt").read_text().splitlines()
            assert len(lines) == 2 * 3 * len(VOICES) and all(float(line.split()[1]) < 0 for line in lines)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")}
    assert call(run, layout, tmp_path / "out", "--modalities", "text_raw") == 0
    assert {path: path.stat().st_mtime_ns for path in written} == written  # nothing is made twice


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--modalities", "text_bpe"], "has no text_bpe model of seed 0"),
        (["--training_seed", "3"], "has no model of seed 3"),
        (["--split", "train"], "--split is 'train'; choose from dev, test"),
        (["--zerospeech_dir", "nowhere"], "gold.csv"),
    ],
)
def test_a_mistake_ends_in_one_sentence(run, layout, tmp_path, capsys, flags, message):
    assert call(run, layout, tmp_path / "out", *flags) == 2
    assert message in capsys.readouterr().err
