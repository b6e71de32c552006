"""Matched and mismatched voices: training on recordings and on synthetic speech of their transcripts, tested on both.

a run on recordings with `speech_units` and `speech_units_synthetic` -> Topic-SC cut out of the recordings -> its units
by both quantizers, n-grams over them, and how well each quantizer's units follow the phones of either kind of speech
(`speech/`) -> scores by each model (`scores/<modality>/seed-<n>`). The pairs in synthetic voices are scored already.
"""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from ...datasets_scripts.pairs.recorded_topics import VERSION, build_recorded_topics, noise_floor
from ...datasets_scripts.pairs.texts import PairText
from ...datasets_scripts.text.passages import read_passages
from ...models.audio import decode_flac
from ...models.files import read_json, write_json
from ...models.modalities import RECORDINGS_MODALITY, SYNTHETIC_MODALITY, get_modality
from ...models.scoring.sides import PARTS
from ..arguments.study import RECORDED, Arguments
from ..run.folder import (
    BASELINES_FILE,
    HELD_OUT_FILE,
    ITEMS_FILE,
    MODEL_FOLDER,
    PAIRS_FILE,
    SUMMARY_FILE,
    UNITS_FILE,
    Run,
)
from ..run.stage import Stage
from ..run.workers import count_cores
from ..score.pair_files import load_for_scoring
from .baselines import score_baselines
from .contents import KEYS, read_contents
from .unit_quality import held_out_units
from .units import encode_shard

_MODALITIES = (RECORDINGS_MODALITY, SYNTHETIC_MODALITY)
_TASK = "topic_sc"
_QUALITY = ("pnmi", "phone_purity", "num_utterances", "num_frames")


def build_voice_transfer(arguments: Arguments, run: Run, device: str = "cpu") -> Path:
    """
    Build the stages: recorded pairs, their units, and the scores of every training seed.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): A run on recordings whose models of both modalities are trained.
        device (`str`, *optional*, defaults to `"cpu"`): Where encoders and models run.

    Returns:
        `Path`: The folder of the stages.
    """
    _build_recorded_pairs(arguments, run)
    _build_speech(arguments, run, device)
    for modality in _MODALITIES:
        for seed in arguments.run.training_seeds:
            _build_scores(arguments, run, modality, seed, device)
    return run.voice_transfer


def _build_recorded_pairs(arguments: Arguments, run: Run) -> None:
    """Topic-SC as it was recorded."""

    def build(folder: Path) -> None:
        pairs = [PairText(**row) for row in pq.read_table(run.pairs_text / PAIRS_FILE).to_pylist()]
        summary = build_recorded_topics(
            pairs,
            read_passages(run.passages / HELD_OUT_FILE),
            run.utterances(),
            folder,
            stretch_factor=read_json(run.utterances() / SUMMARY_FILE)["stretch_factor"],
            num_proc=arguments.run.num_proc or count_cores(),
        )
        write_json(folder / SUMMARY_FILE, summary)

    inputs = {"text": run.pairs_text, "passages": run.passages, "utterances": run.utterances()}
    Stage(run.recorded_pairs, 1, {"version": VERSION}, inputs).run(build, arguments.run.overwrite)


def _build_speech(arguments: Arguments, run: Run, device: str) -> None:
    """What does not depend on a training: units of the recorded pairs, n-grams over them, and quality of units."""
    speech = {name: run.utterances(name) for name in (RECORDED, "many")}
    inputs = {"pairs": run.recorded_pairs} | {f"utterances, {name}": folder for name, folder in speech.items()}
    inputs |= {f"units, {name}": run.units_of(name) for name in _MODALITIES}
    inputs |= {f"tokenizer, {name}": run.tokenizer(name) for name in _MODALITIES}
    shards = sorted((run.recorded_pairs / _TASK).glob("test-*.parquet"))
    columns = tuple(f"{side}_audio" for side in PARTS)

    def build(folder: Path) -> None:
        quality = {}
        for name in _MODALITIES:
            quantizer, target = run.units_of(name) / MODEL_FOLDER, folder / name / _TASK
            quality[name] = {kind: _measure(quantizer, utterances, device) for kind, utterances in speech.items()}
            target.mkdir(parents=True, exist_ok=True)
            for shard in shards:
                if not (target / shard.name).exists():
                    encode_shard(quantizer, shard, target, columns, device, arguments.units.encoder_precision)
            if shards:
                baselines = score_baselines(run.tokenizer(name), _contents(run, name, folder))
                pd.concat([baselines, _noise_floors(shards)], axis=1).to_parquet(folder / name / BASELINES_FILE)
        write_json(folder / UNITS_FILE, quality)

    Stage(run.voice_transfer / "speech", 1, {}, inputs).run(build, arguments.run.overwrite)


def _build_scores(arguments: Arguments, run: Run, modality: str, seed: int, device: str) -> None:
    """Log-likelihoods of the recorded pairs by one model."""
    model_dir, speech = run.model(modality, seed), run.voice_transfer / "speech"

    def build(folder: Path) -> None:
        from ...models.scoring.pairs import score_pairs

        if not any((run.recorded_pairs / _TASK).glob("test-*.parquet")):
            return
        contents = _contents(run, modality, speech)
        model, tokenizer = load_for_scoring(model_dir, model_dir, device)
        rows = contents.rename(columns={"pair_id": "id"}).to_dict("records")
        scores = pd.DataFrame(score_pairs(model, tokenizer, rows))
        pd.concat([contents[KEYS], scores], axis=1).to_parquet(folder / ITEMS_FILE)

    folder = run.voice_transfer / "scores" / modality / f"seed-{seed}"
    Stage(folder, 1, {}, {"model": model_dir, "speech": speech}).run(build, arguments.run.overwrite)


def _contents(run: Run, modality: str, speech: Path) -> pd.DataFrame:
    return read_contents(run.recorded_pairs, get_modality(modality), speech / modality)


def _noise_floors(shards: list[Path]) -> pd.DataFrame:
    """A rule that hears the room alone: the ending whose noise floor is nearer to that of the context."""
    rows = []
    for shard in shards:
        for row in pq.read_table(shard, columns=[f"{side}_audio" for side in PARTS]).to_pylist():
            floors = {side: noise_floor(decode_flac(row[f"{side}_audio"]["bytes"])) for side in PARTS}
            rows.append(
                {f"noise_floor_{side}": -abs(floors[side] - floors["context"]) for side in ("positive", "negative")}
            )
    return pd.DataFrame(rows)


def _measure(quantizer: Path, utterances: Path, device: str) -> dict:
    """How well units follow the phones of held-out speech."""
    from ...models.speech_units import SpeechUnitModel, unit_quality

    model = SpeechUnitModel.from_pretrained(quantizer).to(device)
    (units,), phones = held_out_units([model], utterances)
    quality = unit_quality(units, phones, num_units=model.config.num_units)
    return {name: quality[name] for name in _QUALITY}
