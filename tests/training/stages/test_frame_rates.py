"""Encoders of other than 50 frames a second: Phone-Repeat and units have the same frames all the way to the report."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2FeatureExtractor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

from evoslm.datasets_scripts.pairs.rendering import render_pairs
from evoslm.datasets_scripts.pairs.texts import PairText
from evoslm.datasets_scripts.phones.stretch import measure_stretch_factor
from evoslm.datasets_scripts.synthesis.utterances import render_utterances
from evoslm.datasets_scripts.text.passages import Passage
from evoslm.models.audio import decode_flac
from evoslm.models.speech_units import SpeechUnitModel, fit_units
from evoslm.training.cli import main
from evoslm.training.run.execution import Execution
from evoslm.training.run.folder import Run
from evoslm.training.stages.tokenizers import TokenizerSettings, build_tokenizer
from evoslm.training.stages.units.encoders import EncoderSettings
from evoslm.training.stages.units.quality import measure_quality
from evoslm.training.unit_report.measuring import build_unit_report

STRIDES = {
    12.5: (5, 2, 2, 2, 2, 2, 2, 2, 2),
    25: (5, 2, 2, 2, 2, 2, 2, 2),
    40: (5, 5, 2, 2, 2, 2),
    50: (5, 2, 2, 2, 2, 2, 2),
    100: (5, 2, 2, 2, 2, 2),
}
SENTENCES = (
    "The old sailor sees a small green garden.",
    "A strange bright stranger stretched the strings.",
    "My friends walk to the silent river in the morning.",
)


def make_encoder(folder, rate):
    """A tiny HuBERT with random weights."""
    strides = STRIDES[rate]
    assert 16_000 / math.prod(strides) == rate
    config = HubertConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        conv_dim=(8,) * len(strides),
        conv_stride=strides,
        conv_kernel=(10, *(max(2, stride) for stride in strides[1:])),
        num_feat_extract_layers=len(strides),
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    torch.manual_seed(0)
    HubertModel(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def make_whisper(folder):
    """A tiny Whisper with random weights and positions for 2 s, so that utterances need several windows."""
    shape = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16, "vocab_size": 8}
    shape |= {"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 8, "max_source_positions": 100}
    shape |= dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    torch.manual_seed(0)
    WhisperModel(WhisperConfig(**shape)).save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def utterances(tmp_path_factory):
    folder = tmp_path_factory.mktemp("utterances")
    passages = [
        Passage(f"p{index}", f"d{index}", "t", ("train", "validation")[index % 2], (sentence,))
        for index, sentence in enumerate(SENTENCES * 4)
    ]
    summary = render_utterances(passages, folder, voices="many", progress=False)
    factor = measure_stretch_factor(folder)
    (folder / "summary.json").write_text(json.dumps(summary | {"stretch_factor": factor}))
    (folder / "stage.json").write_text(json.dumps({"fingerprint": "0", "seconds": 0, "peak_memory_mb": 0}))
    return folder


@pytest.mark.parametrize("rate", STRIDES)
def test_a_run_takes_the_rate_of_its_encoder(tmp_path, rate):
    settings = EncoderSettings(str(make_encoder(tmp_path / "encoder", rate)))
    assert (settings.frame_rate, settings.frame_samples) == (rate, 16_000 / rate)
    assert settings.describe()["frame_rate"] == rate
    assert settings.label == "HuBERT" and settings.fit_arguments["frame_rate"] == rate


@pytest.mark.parametrize("rate", [*STRIDES, "whisper"])
def test_units_and_repeated_phones_have_the_same_frames(tmp_path, utterances, rate):
    if rate == "whisper":
        encoder, rate = make_whisper(tmp_path / "encoder"), 50
    else:
        encoder = make_encoder(tmp_path / "encoder", rate)
    rows = pq.read_table(next(utterances.glob("train-*.parquet"))).to_pylist()
    audio = [decode_flac(row["audio"]["bytes"]) for row in rows]
    model = fit_units([(audio, None)], 10, encoder_id=str(encoder), frame_rate=rate)
    pair = PairText("i", "swuggy", "g", "", "", "river", "rivel")
    render_pairs([pair], tmp_path / "pairs", "one", "fixed", 0, 3, frame_samples=model.config.hop_length)
    (spoken,) = pq.read_table(next((tmp_path / "pairs" / "swuggy").glob("*.parquet"))).to_pylist()
    for side in ("positive", "negative"):
        (units,) = model.units([decode_flac(spoken[f"{side}_audio"]["bytes"])])
        assert len(units) == len(spoken[f"{side}_phones_repeat"].split())

    lengths = {}
    for name in ("phone_repeat", "phone_stretch"):
        settings = TokenizerSettings(name, frame_samples=model.config.hop_length)
        build_tokenizer(tmp_path / name, utterances, None, settings, Execution(1, "cpu", False))
        offsets = np.load(tmp_path / name / "train.offsets.npy")
        lengths[name] = np.diff(offsets)
    assert lengths["phone_repeat"].tolist() == [len(units) for units in model.units(audio)]
    factor = measure_stretch_factor(utterances, model.config.hop_length)
    assert lengths["phone_stretch"].tolist() == [factor * len(row["phones"]) for row in rows]


def test_what_is_said_of_units_counts_their_own_frames(tmp_path, utterances):
    encoder = make_encoder(tmp_path / "encoder", 25)
    rows = pq.read_table(next(utterances.glob("validation-*.parquet"))).to_pylist()
    audio = [decode_flac(row["audio"]["bytes"]) for row in rows]
    speakers = [row["speaker"] for row in rows]
    model = fit_units([(audio, speakers)], 10, encoder_id=str(encoder), frame_rate=25)
    (tmp_path / "units").mkdir()
    for shard in utterances.glob("validation-*.parquet"):
        table = [{"id": row["id"], "units": units.tolist()} for row, units in zip(rows, model.units(audio))]
        pq.write_table(pa.Table.from_pylist(table), tmp_path / "units" / shard.name)
    quality = measure_quality(utterances, tmp_path / "units", 10, 25.0)
    assert quality["units_per_second"] == 25
    assert quality["mean_run_ms"] == pytest.approx(40 * quality["mean_run_frames"])

    model.save_pretrained(tmp_path / "model")
    report = build_unit_report(
        utterances, tmp_path / "report", tmp_path / "model", normalizations=("none", "utterance"), bpe_vocab_size=0
    )
    assert report["settings"]["frame_rate"] == 25
    assert [row["tokens_per_second"] for row in report["rows"] if row["form"] == "units"] == pytest.approx([25, 25])
    assert "25 frames a second" in (tmp_path / "report" / "unit_report.md").read_text()


@pytest.mark.end_to_end
def test_a_study_has_one_frame_rate_from_its_encoder_to_its_report(tmp_path):
    rate = 25
    encoder, run = make_encoder(tmp_path / "encoder", rate), tmp_path / "run"
    made = Run(run, "many")
    names = ["phone_raw", "phone_stretch", "phone_repeat", "speech_units_one_voice", "speech_units"]
    names += ["speech_syllable", "speech_syllable_unsupervised"]
    flags = ["--preset", "smoke", "--max_words", "4000", "--pairs_per_task", "16", "--point_pairs", "4"]
    flags += ["--modalities", *names, "--encoder", str(encoder), "--num_units", "20", "--num_syllable_units", "20"]
    assert main(["study", *flags, "--compare_seeds", "1", "--output_dir", str(run)]) == 0

    config = SpeechUnitModel.from_pretrained(made.quantizer("speech_units")).config
    assert config.frame_rate == rate == json.loads((run / "study.json").read_text())["frame_rate"]
    tokens = {name: np.diff(np.load(run / "tokenizers" / name / "train.offsets.npy")).tolist() for name in names}
    assert tokens["phone_repeat"] == tokens["speech_units"] == tokens["speech_units_one_voice"]
    assert sum(tokens["phone_stretch"]) == pytest.approx(sum(tokens["phone_repeat"]), rel=0.3)
    for name in ("speech_syllable", "speech_syllable_unsupervised"):
        assert sum(tokens[name]) < sum(tokens["phone_raw"])
    models = {name: json.loads((run / "models" / name / "seed-0" / "config.json").read_text()) for name in names}
    assert {models[name]["frame_rate"] for name in ("phone_repeat", "speech_units")} == {rate}
    assert models["phone_raw"]["frame_rate"] is None
    for shard in made.pairs().glob("*/test-*.parquet"):
        units = made.pair_units("speech_units") / shard.parent.name / shard.name
        for row, encoded in zip(pq.read_table(shard).to_pylist(), pq.read_table(units).to_pylist()):
            for side in ("positive", "negative"):
                assert len(row[f"{side}_phones_repeat"].split()) == len(encoded[f"{side}_units"])
    report = (run / "report" / "report.md").read_text()
    assert f"{rate:g} frames a second" in report
