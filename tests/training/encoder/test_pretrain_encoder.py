"""Pre-training of an encoder: it learns, a kill changes nothing, targets stand where they belong, and it is one."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoFeatureExtractor, AutoModel, HubertConfig, HubertModel

from evoslm.datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
from evoslm.models.audio import encode_flac
from evoslm.models.speech_units import SpeechUnitConfig, SpeechUnitModel, fit_units
from evoslm.training.encoder import training as module
from evoslm.training.encoder.crops import EncoderCrops
from evoslm.training.encoder.masked_prediction import (
    HubertPretraining,
    count_flops,
    crop_frames,
    frame_geometry,
    mask_spans,
)
from evoslm.training.encoder.training import EncoderArguments, pretrain_encoder
from evoslm.training.run.folder import Run
from evoslm.training.run.study_file import FORMAT

TEXT = "the cat sat by a river and saw seven green fishes swim under our old wooden bridge before noon"
GEOMETRY = (320, 400)


def write_utterances(folder, audio):
    """A run with the given int16 waveforms by split, two to a group of rows, and no units."""
    run = Run(folder)
    run.utterances().mkdir(parents=True)
    for split, waveforms in audio.items():
        rows = [
            {"id": f"{split}-{i}", "audio": {"bytes": encode_flac(waveform), "path": "a"}, "speaker": "base"}
            for i, waveform in enumerate(waveforms)
        ]
        path = run.utterances() / f"{split}-00000-of-00001.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    (run.utterances() / "stage.json").write_text(json.dumps({"fingerprint": "utterances"}))
    run.study_file.write_text(json.dumps({"format": FORMAT, "voices": "many"}))
    return run


def write_units(run, units, num_units):
    (run.units() / "utterances").mkdir(parents=True)
    schema = pa.schema({"id": pa.string(), "units": pa.list_(pa.uint16())})
    for split, rows in units.items():
        table = pa.Table.from_pylist([{"id": f"{split}-{i}", "units": row} for i, row in enumerate(rows)], schema)
        pq.write_table(table, run.units() / "utterances" / f"{split}-00000-of-00001.parquet")
    SpeechUnitConfig(num_units=num_units).save_pretrained(run.units() / "model")
    for stage in ("model", "utterances"):
        (run.units() / stage / "stage.json").write_text(json.dumps({"fingerprint": stage}))


def arguments(run_dir, **changes):
    tiny = {
        "num_targets": 16,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "conv_size": 16,
        "dropout": 0.05,
        "max_seconds": 1.5,
        "batch_seconds": 6.0,
        "max_steps": 6,
        "warmup_steps": 2,
        "eval_steps": 3,
        "save_steps": 3,
        "learning_rate": 3e-3,
        "precision": "fp32",
        "device": "cpu",
        "num_proc": 1,
        "progress": False,
    }
    return EncoderArguments(run_dir=str(run_dir), **{**tiny, **changes})


def training(folder):
    return json.loads((folder / "training.json").read_text())


@pytest.fixture(scope="module")
def speech():
    """Some eighty seconds of synthesized speech, of which the validation split is other sentences."""
    rng = np.random.default_rng(0)
    synthesizer = EspeakSynthesizer()
    said = [synthesizer.render(" ".join(rng.choice(TEXT.split(), 9)).capitalize() + ".").audio for _ in range(26)]
    return {"train": said[:22], "validation": said[22:]}


@pytest.fixture(scope="module")
def run_dir(speech, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_utterances(folder, speech)
    return folder


@pytest.fixture(scope="module")
def trained(run_dir):
    return pretrain_encoder(arguments(run_dir))


def test_hidden_frames_of_held_out_speech_are_predicted_from_those_around_them(run_dir):
    """Short spans, of which even a tiny encoder learns something within a minute of speech."""
    short_spans = {"mask_time_prob": 0.3, "mask_time_length": 2, "unmasked_weight": 1.0}
    size = {"hidden_size": 32, "num_hidden_layers": 1, "dropout": 0.0, "max_seconds": 1.0, "batch_seconds": 4.0}
    steps = {"max_steps": 160, "eval_steps": 160, "save_steps": 1000, "warmup_steps": 16, "learning_rate": 6e-3}
    longer = arguments(run_dir, output_dir=str(run_dir / "longer"), **short_spans, **size, **steps)
    history = training(pretrain_encoder(longer))
    last = history["validation"][-1]
    assert last["masked_loss"] < history["unit_entropy"]["validation"] - 0.3
    assert last["masked_accuracy"] > 0.25
    assert history["seconds"]["train"] > 50 and not history["skipped"]


def test_a_training_that_is_killed_ends_with_the_same_weights(run_dir, trained, kill_and_go_on):
    folder = kill_and_go_on(module, pretrain_encoder, arguments(run_dir, output_dir=str(run_dir / "killed")))
    assert training(folder) == training(trained)
    weights, expected = (AutoModel.from_pretrained(path).state_dict() for path in (folder, trained))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert not (folder / "checkpoints").exists()


def test_the_folder_is_an_encoder_for_quantizers_and_for_a_second_iteration(run_dir, trained, speech):
    assert type(AutoModel.from_pretrained(trained, use_safetensors=True)) is HubertModel
    extractor = AutoFeatureExtractor.from_pretrained(trained)
    assert extractor.do_normalize and extractor.sampling_rate == 16_000
    assert not list(trained.rglob("*.bin")) and not list(trained.rglob("*.pt"))
    model = fit_units([(speech["train"], None)], num_units=8, encoder_id=str(trained), encoder_layer=1)
    assert [len(row) for row in model.units(speech["validation"])] == [len(x) // 320 for x in speech["validation"]]
    second = arguments(
        run_dir, output_dir=str(run_dir / "second"), targets=str(trained), target_layer=1, num_targets=8
    )
    quantizer = SpeechUnitModel.from_pretrained(pretrain_encoder(second) / "targets" / "model")
    assert quantizer.config.pretrained["layer"] == 1 and quantizer.config.num_units == 8
    assert (
        quantizer.fingerprint()
        == fit_units(
            [(speech["train"], ["base"] * 22)], num_units=8, encoder_id=str(trained), encoder_layer=1
        ).fingerprint()
    )


def test_another_configuration_is_refused_by_name(run_dir, trained):
    with pytest.raises(ValueError, match="mask_time_length"):
        pretrain_encoder(arguments(run_dir, mask_time_length=5))
    with pytest.raises(ValueError, match=r"targets"):
        pretrain_encoder(arguments(run_dir, targets="log_mel"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_steps": 0}, "--max_steps is 0"),
        ({"hidden_size": 60}, "multiple of 16"),
        ({"mask_time_prob": 0.0}, "--mask_time_prob"),
        ({"batch_seconds": 1.0}, "less than --max_seconds"),
        ({"targets": "run", "num_targets": 100}, "no finished stage"),
        ({"targets": "run"}, "--targets run takes the run's units, however many; leave --num_targets out"),
        ({"target_layer": 1}, "--targets mfcc has no layers to choose from; leave --target_layer out"),
    ],
)
def test_what_cannot_be_is_named(run_dir, changes, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        pretrain_encoder(arguments(run_dir, output_dir=str(run_dir / "wrong"), **changes))


@pytest.mark.parametrize(("prob", "length"), [(0.8, 10), (0.65, 10), (0.3, 5), (0.8, 1)])
def test_masks_are_spans_that_hide_the_stated_share(prob, length):
    mask = mask_spans((400, 500), prob, length, np.random.default_rng(0))
    # Spans of one frame cannot overlap: their starts differ.
    expected = prob if length == 1 else 1 - np.exp(-prob)
    assert mask.mean() == pytest.approx(expected, abs=0.025)
    edges = np.diff(np.pad(mask.astype(int), ((0, 0), (1, 1))), axis=1)
    runs = np.argwhere(edges == -1)[:, 1] - np.argwhere(edges == 1)[:, 1]
    assert runs.min() == length and mask.any(1).all()
    with pytest.raises(ValueError, match="not longer than a masked span"):
        mask_spans((1, 5), 0.5, 5, np.random.default_rng(0))


def test_frames_of_a_crop_are_those_of_the_quantizers_encoder(speech):
    """The convolutions of a crop, where nothing is normalised over time, give the frames of the whole utterance."""
    config = HubertConfig(conv_dim=(8,) * 7, feat_extract_norm="layer", hidden_size=32, num_attention_heads=2)
    assert frame_geometry(config) == GEOMETRY
    extractor = HubertModel(config).eval().feature_extractor
    audio = torch.from_numpy(speech["train"][0].astype(np.float32) / 2**15)
    frames = len(audio) // 320
    with torch.no_grad():
        whole = extractor(torch.nn.functional.pad(audio, (40, 40))[None])[0].T
        for start, count in ((0, 7), (31, 20), (frames - 9, 9)):
            crop = crop_frames(audio, start, count, *GEOMETRY)
            assert (extractor(crop[None])[0].T - whole[start : start + count]).abs().max() < 1e-4


def tones(rng, frames, num_units=8):
    """A signal in which unit k is a tone of 400 (k + 1) Hz, drawn anew every two frames, and the units."""
    units = np.repeat(rng.integers(0, num_units, frames // 2), 2)
    phase = np.cumsum(np.repeat(400.0 * (units + 1), 320)) / 16_000
    return (6000 * np.sin(2 * np.pi * phase)).astype(np.int16), units


def test_targets_stand_where_their_frames_are(tmp_path):
    """A batch's frames sound like their units; with units late or early by a frame, those of every second one do."""
    rng = np.random.default_rng(0)
    made = {split: [tones(rng, 100) for _ in range(count)] for split, count in (("train", 24), ("validation", 4))}
    accuracy = {}
    for shift in (0, 1, -1):
        run = write_utterances(tmp_path / str(shift), {split: [a for a, _ in rows] for split, rows in made.items()})
        units = {split: [np.roll(u, shift).tolist() for _, u in rows] for split, rows in made.items()}
        write_units(run, units, num_units=8)
        geometry = {"geometry": GEOMETRY, "max_frames": 50, "min_frames": 25, "batch_frames": 400, "seed": 0}
        crops = EncoderCrops(run.utterances(), run.units() / "utterances", "train", **geometry)
        accuracy[shift] = spectral_accuracy(crops)
    assert accuracy[0] > 0.98
    assert accuracy[1] < 0.7 and accuracy[-1] < 0.7


def spectral_accuracy(crops):
    """How often the loudest frequency of a frame's own samples, at the hop and span of an encoder, is its unit's."""
    right = []
    for _, (waveforms, units) in zip(range(6), crops.batches()):
        loudest = torch.fft.rfft(waveforms.unfold(1, 400, 320) * torch.hann_window(400)).abs().argmax(-1)
        right.append((loudest * 40 / 400 - 1).round() == units)
    return float(torch.cat(right).float().mean())


def test_an_encoder_learns_aligned_targets_better_than_late_ones():
    rng = np.random.default_rng(1)
    audio, units = zip(*(tones(rng, 40) for _ in range(8)))
    waveforms = torch.stack([crop_frames(torch.from_numpy(a / 2**12).float(), 0, 40, *GEOMETRY) for a in audio])
    targets = torch.from_numpy(np.stack(units))
    config = HubertConfig(
        conv_dim=(16,) * 7, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        num_conv_pos_embedding_groups=4, num_conv_pos_embeddings=2, layerdrop=0.0,
        hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0,
    )  # fmt: skip
    losses = {}
    for shift in (0, 2):
        torch.manual_seed(0)
        model = HubertPretraining(config, 8, unmasked_weight=1.0)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for step in range(60):
            mask = torch.from_numpy(mask_spans((8, 40), 0.1, 2, np.random.default_rng(step)))
            found = model(waveforms, targets.roll(shift, 1), mask)
            optimizer.zero_grad()
            found["loss"].backward()
            optimizer.step()
        losses[shift] = (found["loss"] - found["masked_loss"]).item()  # of the frames that are heard
    assert losses[0] < 0.5 * losses[2]


def test_batches_depend_on_seed_and_step_alone_and_hold_every_utterance(speech, tmp_path):
    run = write_utterances(tmp_path / "run", speech)
    write_units(
        run, {split: [[i] * (len(x) // 320) for i, x in enumerate(rows)] for split, rows in speech.items()}, 32
    )
    options = {"geometry": GEOMETRY, "max_frames": 50, "min_frames": 25, "batch_frames": 200}

    def crops(seed=0, **changes):
        return EncoderCrops(run.utterances(), run.units() / "utterances", "train", **{**options, **changes}, seed=seed)

    first = [batch for _, batch in zip(range(9), crops().batches())]
    later = next(crops().batches(7))
    assert all(torch.equal(a, b) for a, b in zip(first[7], later))
    assert not torch.equal(first[0][1], next(crops(seed=1).batches())[1])
    epoch = torch.cat([units[:, 0] for _, units in first[:6]])  # 22 utterances, four a batch
    assert sorted(epoch.tolist()) == list(range(22))
    assert all(waveforms.shape[1] == 49 * 320 + 400 for waveforms, _ in first)
    shortest = min(len(x) // 320 for x in speech["train"])
    assert len(crops(min_frames=shortest + 1).skipped) >= 1


def test_flops_are_those_of_the_matrix_products():
    config = HubertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, conv_dim=(16,) * 7)
    config._attn_implementation = "eager"  # what is fused is not counted
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        HubertModel(config).eval()(torch.zeros(1, 59 * 320 + 400))
    assert count_flops(config, 60) == pytest.approx(counter.get_total_flops(), rel=0.01)
