"""Matched and mismatched voices: training on recordings and on synthetic speech of their transcripts, tested on both.

Topic-SC cut out of the recordings ([`build_recorded_pairs`]) -> its units by both quantizers, n-grams over them, and
how well each quantizer's units follow the phones of either kind of speech ([`build_transfer_speech`]) -> scores by
each model ([`build_transfer_scores`]). The pairs in synthetic voices are scored like those of any other run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from ...datasets_scripts.pairs.topics.context_overlap import overlap_votes
from ...datasets_scripts.pairs.topics.recorded_topics import VERSION, build_recorded_topics, noise_floor
from ...datasets_scripts.text.passages import read_passages
from ...models.audio import decode_flac
from ...models.files import write_json
from ...models.modalities import get_modality
from ...models.scoring.sides import PARTS, SIDES
from ..external_units.quantizers import load_quantizer
from ..run.execution import Execution
from ..run.folder import BASELINES_FILE, HELD_OUT_FILE, ITEMS_FILE, SUMMARY_FILE, UNITS_FILE
from ..run.stage import Stage
from ..score.pair_files import load_for_scoring
from .baselines import read_overlap, score_baselines
from .contents import KEYS, read_contents
from .speech import read_stretch_factor
from .spoken_pairs import read_pair_texts
from .units.encoding import PAIR_COLUMNS, encode_shard
from .units.quality import held_out_units

_TASK = "topic_sc"
_QUALITY = ("pnmi", "phone_purity", "num_utterances", "num_frames")


@dataclass(frozen=True)
class TransferSide:
    """
    What was trained on one kind of speech.

    Args:
        voices (`str`): The kind of speech, `"recorded"` or `"many"`.
        utterances (`Path`): The speech stage.
        quantizer (`Path`): The quantizer that was fitted on it.
        tokenizer (`Path`): The tokenizer of its units, with the ids of its utterances.
    """

    voices: str
    utterances: Path
    quantizer: Path
    tokenizer: Path


def build_recorded_pairs(
    folder: Path, texts: Path, passages: Path, utterances: Path, frame_samples: float, execution: Execution
) -> None:
    """
    Cut Topic-SC out of recordings.

    Args:
        folder (`Path`): Where to.
        texts (`Path`): The text of the pairs.
        passages (`Path`): The text stage, with what was held out.
        utterances (`Path`): The stage of recordings.
        frame_samples (`float`): Samples from one frame of the encoder to the next, which phones are repeated by.
        execution ([`Execution`]): How it is done.
    """

    def build(partial: Path) -> None:
        overlap = read_overlap(texts)
        summary = build_recorded_topics(
            read_pair_texts(texts),
            read_passages(passages / HELD_OUT_FILE),
            utterances,
            partial,
            stretch_factor=read_stretch_factor(utterances, frame_samples),
            frame_samples=frame_samples,
            votes=dict(zip(overlap.index, overlap_votes(overlap))),
            num_proc=execution.num_proc,
        )
        write_json(partial / SUMMARY_FILE, summary)

    inputs = {"text": texts, "passages": passages, "utterances": utterances}
    Stage(folder, 3, {"version": VERSION, "frame_samples": frame_samples}, inputs).run(build, execution.overwrite)


def build_transfer_speech(
    folder: Path,
    recorded_pairs: Path,
    texts: Path,
    sides: Mapping[str, TransferSide],
    precision: str,
    execution: Execution,
) -> None:
    """
    Make what does not depend on a training: units of the recorded pairs, n-grams over them, and quality of units.

    Args:
        folder (`Path`): Where to.
        recorded_pairs (`Path`): What [`build_recorded_pairs`] built.
        texts (`Path`): The text of the pairs.
        sides (`Mapping[str, TransferSide]`): Each kind of speech, by the modality that reads its units.
        precision (`str`): Of an encoder with weights, `"fp32"` or `"bf16"`.
        execution ([`Execution`]): How it is done.
    """
    inputs = {"pairs": recorded_pairs, "texts": texts}
    for name, side in sides.items():
        inputs |= {f"{what}, {name}": getattr(side, what) for what in ("utterances", "quantizer", "tokenizer")}
    shards = sorted((recorded_pairs / _TASK).glob("test-*.parquet"))
    device = execution.device

    def build(partial: Path) -> None:
        quality = {}
        for name, side in sides.items():
            target = partial / name / _TASK
            quality[name] = {
                other.voices: _measure(side.quantizer, other.utterances, device) for other in sides.values()
            }
            target.mkdir(parents=True, exist_ok=True)
            for shard in shards:
                if not (target / shard.name).exists():
                    encode_shard(side.quantizer, shard, target, PAIR_COLUMNS, device, precision)
            if shards:
                contents = _contents(recorded_pairs, name, partial)
                baselines = score_baselines(side.tokenizer, contents, get_modality(name), read_overlap(texts))
                pd.concat([baselines, _noise_floors(shards)], axis=1).to_parquet(partial / name / BASELINES_FILE)
        write_json(partial / UNITS_FILE, quality)

    Stage(folder, 3, {"precision": precision}, inputs).run(build, execution.overwrite)


def build_transfer_scores(
    folder: Path, model: Path, recorded_pairs: Path, speech: Path, modality: str, execution: Execution
) -> None:
    """
    Score the recorded pairs by one model.

    Args:
        folder (`Path`): Where to.
        model (`Path`): The stage of the model.
        recorded_pairs (`Path`): What [`build_recorded_pairs`] built.
        speech (`Path`): What [`build_transfer_speech`] built.
        modality (`str`): The model's modality.
        execution ([`Execution`]): How it is done.
    """

    def build(partial: Path) -> None:
        from ...models.scoring import score_pairs

        if not any((recorded_pairs / _TASK).glob("test-*.parquet")):
            return
        contents = _contents(recorded_pairs, modality, speech)
        loaded, tokenizer = load_for_scoring(model, model, execution.device)
        rows = contents.rename(columns={"pair_id": "id"}).to_dict("records")
        scores = pd.DataFrame(score_pairs(loaded, tokenizer, rows))
        pd.concat([contents[KEYS], scores], axis=1).to_parquet(partial / ITEMS_FILE)

    inputs = {"model": model, "pairs": recorded_pairs, "speech": speech}
    Stage(folder, 2, {"modality": modality}, inputs).run(build, execution.overwrite)


def _contents(recorded_pairs: Path, modality: str, speech: Path) -> pd.DataFrame:
    return read_contents(recorded_pairs, get_modality(modality), speech / modality)


def _noise_floors(shards: list[Path]) -> pd.DataFrame:
    """A rule that hears the room alone: the ending whose noise floor is nearer to that of the context."""
    rows = []
    for shard in shards:
        for row in pq.read_table(shard, columns=[f"{side}_audio" for side in PARTS]).to_pylist():
            floors = {side: noise_floor(decode_flac(row[f"{side}_audio"]["bytes"])) for side in PARTS}
            rows.append({f"noise_floor_{side}": -abs(floors[side] - floors["context"]) for side in SIDES})
    return pd.DataFrame(rows)


def _measure(quantizer: Path, utterances: Path, device: str) -> dict:
    """How well units follow the phones of held-out speech."""
    from ...models.unit_quality import unit_quality

    model = load_quantizer(quantizer).to(device)
    (units,), phones = held_out_units([model], utterances)
    quality = unit_quality(units, phones, num_units=model.config.num_units)
    return {name: quality[name] for name in _QUALITY}
