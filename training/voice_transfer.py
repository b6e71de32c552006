"""Matched and mismatched voices: training on recordings and on synthetic speech of their transcripts, tested on both.

a run on recordings with `speech_units` and `speech_units_synthetic` -> Topic-SC cut out of the recordings -> its units
by both quantizers -> scores by both models -> `<modality>/seed-<n>/items.parquet`; and how well each quantizer's units
follow the phones of either kind of speech -> `units.json`. The pairs in synthetic voices are scored already.
"""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from ..datasets_scripts.pairs_text import PairText
from ..datasets_scripts.passages import read_passages
from ..models.modalities import RECORDINGS_MODALITY, SYNTHETIC_MODALITY, get_modality
from .arguments import RECORDED, Arguments
from .corpus import HELD_OUT_FILE, SUMMARY_FILE
from .evaluate import ITEMS_FILE, KEYS, read_contents
from .pairs import PAIRS_FILE
from .run import Run
from .score import load_for_scoring
from .stages import Stage, read_json, write_json
from .units import MODEL_FOLDER, SIDES, encode_shard, held_out_units
from .workers import count_cores

UNITS_FILE = "units.json"
_QUALITY = ("pnmi", "phone_purity", "num_utterances", "num_frames")


def build_voice_transfer(arguments: Arguments, run: Run, device: str = "cpu") -> Path:
    """
    Build the stage, for every training seed.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): A run on recordings whose models of both modalities are trained.
        device (`str`, *optional*, defaults to `"cpu"`): Where encoders and models run.

    Returns:
        `Path`: The stage's folder.
    """
    pairs = _build_recorded_pairs(arguments, run)
    modalities, seeds = (RECORDINGS_MODALITY, SYNTHETIC_MODALITY), arguments.run.seeds
    speech = {name: run.utterances(name) for name in (RECORDED, "many")}
    inputs = {"pairs": pairs} | {f"utterances, {name}": folder for name, folder in speech.items()}
    for name in modalities:
        inputs |= {f"units, {name}": run.units_of(name)}
        inputs |= {f"model, {name}, {seed}": run.model(name, seed) for seed in seeds}

    def build(folder: Path) -> None:
        from ..models.scoring import score_pairs

        quality = {}
        for name in modalities:
            quantizer = run.units_of(name) / MODEL_FOLDER
            quality[name] = {kind: _measure(quantizer, utterances, device) for kind, utterances in speech.items()}
            units = folder / name / "units"
            shards = sorted((pairs / "topic_sc").glob("test-*.parquet"))
            if not shards:
                continue
            (units / "topic_sc").mkdir(parents=True, exist_ok=True)
            for shard in shards:
                encode_shard(
                    quantizer,
                    shard,
                    units / "topic_sc",
                    tuple(f"{side}_audio" for side in SIDES),
                    device,
                    arguments.units.encoder_precision,
                )
            contents = read_contents(pairs, get_modality(name), units)
            rows = contents.rename(columns={"pair_id": "id"}).to_dict("records")
            for seed in seeds:
                model, tokenizer = load_for_scoring(run.model(name, seed), run.model(name, seed), device)
                target = folder / name / f"seed-{seed}" / ITEMS_FILE
                target.parent.mkdir(exist_ok=True)
                pd.concat([contents[KEYS], pd.DataFrame(score_pairs(model, tokenizer, rows))], axis=1).to_parquet(
                    target
                )
        write_json(folder / UNITS_FILE, quality)

    Stage(run.voice_transfer, 1, {"seeds": list(seeds)}, inputs).run(build, arguments.run.overwrite)
    return run.voice_transfer


def _build_recorded_pairs(arguments: Arguments, run: Run) -> Path:
    """Topic-SC as it was recorded."""
    from ..datasets_scripts.recorded_topics import VERSION, build_recorded_topics

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
    return run.recorded_pairs


def _measure(quantizer: Path, utterances: Path, device: str) -> dict:
    """How well units follow the phones of held-out speech."""
    from ..models.speech_units import SpeechUnitModel, unit_quality

    model = SpeechUnitModel.from_pretrained(quantizer).to(device)
    (units,), phones = held_out_units([model], utterances)
    quality = unit_quality(units, phones, num_units=model.config.num_units)
    return {name: quality[name] for name in _QUALITY}
