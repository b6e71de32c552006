"""What is understood of resynthesized units, and how natural they sound to a model of listeners.

a stage of sound -> a recogniser, or the run's own quantizer and transcriber of units -> `transcripts.jsonl` -> word
and character error rates; SQUIM, where its weights are on this machine -> a predicted mean opinion score.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ....models.audio import decode_flac
from ....models.files import read_json, write_json, write_json_lines
from ...run.execution import Execution
from ...run.folder import MODEL_FOLDER, SUMMARY_FILE, Run
from ...run.stage import STAGE_FILE, Stage
from ...transcription.transcribing import TRANSCRIPTS_FILE, TranscribeArguments, transcribe_sounds

MOS_FILE = "mos.json"
SQUIM_WEIGHTS = "torchaudio/models/squim_subjective_bvcc_daps.pth"
"""Where torchaudio keeps the weights of SQUIM, below `torch.hub.get_dir()`."""
_AT_ONCE = 16
_LONGEST = 10 * 16_000  # samples that SQUIM listens to


def find_transcriber(run: Run) -> str | None:
    """The modality of the transcriber of units that a run has, `None` where it has none."""
    names = ("speech_dedup", "speech_units")
    return next((name for name in names if (_transcriber(run, name) / STAGE_FILE).is_file()), None)


def hear_with_recogniser(
    folder: Path, sound: Path, split: str, model_id: str, execution: Execution, max_utterances: int | None = None
) -> None:
    """
    Let a model for speech recognition transcribe sound.

    Args:
        folder (`Path`): Where its transcripts go.
        sound (`Path`): Shards of utterances.
        split (`str`): The split.
        model_id (`str`): The recogniser, by folder or Hub id.
        execution ([`Execution`]): How it is done.
        max_utterances (`int`, *optional*): The first so many; all when not given.

    Raises:
        `FileNotFoundError`, `ValueError`: As [`transcribe_sounds`].
    """
    with redirect_stdout(StringIO()):  # the page says it
        transcribe_sounds(
            TranscribeArguments(
                source=str(sound),
                output_dir=str(folder),
                split=split,
                max_utterances=max_utterances,
                model_id=model_id,
                device=execution.device,
                overwrite=execution.overwrite,
            )
        )


def hear_with_units(
    folder: Path, sound: Path, split: str, run: Run, execution: Execution, max_utterances: int | None = None
) -> None:
    """
    Let a run's own quantizer hear sound, and its transcriber of units write what that says.

    Args:
        folder (`Path`): Where its transcripts go.
        sound (`Path`): Shards of utterances, a stage.
        split (`str`): The split.
        run ([`Run`]): A run whose transcriber was trained.
        execution ([`Execution`]): How it is done.
        max_utterances (`int`, *optional*): The first so many; all when not given.
    """
    from ....models.transcriber import UnitTranscriber, recognition_errors
    from ...external_units.quantizers import load_quantizer

    modality, quantizer = find_transcriber(run), run.units() / MODEL_FOLDER

    def build(partial: Path) -> None:
        model = load_quantizer(quantizer).to(execution.device)
        transcriber = UnitTranscriber.from_pretrained(_transcriber(run, modality)).to(execution.device)
        rows = []
        for batch in _batches(sound, split, max_utterances):
            units = model.units([row["audio"] for row in batch], [row["speaker"] for row in batch])
            for row, text in zip(batch, transcriber.transcribe([each.tolist() for each in units])):
                rows.append({"id": row["id"], "text": row["text"], "transcript": text})
        write_json_lines(partial / TRANSCRIPTS_FILE, rows)
        errors = recognition_errors([row["text"] for row in rows], [row["transcript"] for row in rows])
        write_json(partial / SUMMARY_FILE, {"transcriber": {"model": f"transcribers/{modality}"}, "sounds": errors})

    inputs = {"sound": sound, "transcriber": _transcriber(run, modality), "quantizer": quantizer}
    stage = Stage(folder, 1, {"split": split, "max_utterances": max_utterances}, inputs, ("torch",))
    stage.run(build, execution.overwrite)


def read_errors(folder: Path) -> dict[str, Any] | None:
    """
    Word and character error rates of finished transcripts.

    Args:
        folder (`Path`): Where they are.

    Returns:
        `dict` or `None`: `wer` and `cer`, each with `value`, `low`, `high` (over utterances), `utterances`, `empty`,
        `words`, and `by`, what heard them; `None` where nothing was heard.
    """
    from ....models.transcriber import error_intervals, recognition_errors

    if not (folder / TRANSCRIPTS_FILE).is_file():
        return None
    rows = [json.loads(line) for line in (folder / TRANSCRIPTS_FILE).read_text(encoding="utf-8").split("\n") if line]
    said, heard = ([row[name] for row in rows] for name in ("text", "transcript"))
    counts = recognition_errors(said, heard)
    found = error_intervals(said, heard) | {name: counts[name] for name in ("utterances", "empty", "words")}
    return found | {"by": read_json(folder / SUMMARY_FILE)["transcriber"]}


def find_squim() -> Path | None:
    """The weights of torchaudio's SQUIM, where somebody has loaded them; nothing is downloaded here."""
    import torch

    path = Path(torch.hub.get_dir()) / SQUIM_WEIGHTS
    return path if path.is_file() else None


def predict_opinion(
    folder: Path, sound: Path, reference: Path, split: str, weights: Path, execution: Execution
) -> None:
    """
    Predict how natural people would find sound, from 1 to 5: SQUIM's MOS (2304.01448), which compares it with clean
    speech of anything; here the first utterance as it was recorded.

    Args:
        folder (`Path`): Where to: `mos.json`, the mean with its interval over utterances.
        sound (`Path`): A stage of sound.
        reference (`Path`): Shards of the same split as it was recorded.
        split (`str`): The split.
        weights (`Path`): SQUIM's, as [`find_squim`] finds them.
        execution ([`Execution`]): How it is done.
    """
    import torch
    from torchaudio.models import squim_subjective_base

    from ....models.statistics import resampled_means

    @torch.no_grad()
    def build(partial: Path) -> None:
        model = squim_subjective_base()
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        model.to(execution.device).eval()
        (clean,) = next(_batches(reference, split, 1))
        clean = _as_float(clean["audio"], execution.device)
        values = [
            float(model(_as_float(row["audio"], execution.device), clean))
            for batch in _batches(sound, split)
            for row in batch
        ]
        low, high = np.quantile(resampled_means(np.array(values)[:, None]), [0.025, 0.975])
        found = {"value": float(np.mean(values)), "low": float(low), "high": float(high), "utterances": len(values)}
        write_json(partial / MOS_FILE, found)

    inputs = {"sound": sound, "reference": reference}
    Stage(folder, 1, {"split": split, "model": weights.stem}, inputs, ("torch", "torchaudio")).run(
        build, execution.overwrite
    )


def _as_float(samples: np.ndarray, device: str):
    import torch

    return torch.from_numpy(samples[:_LONGEST].astype(np.float32) / 2**15)[None].to(device)


def _transcriber(run: Run, modality: str) -> Path:
    return run.folder / "transcribers" / modality / MODEL_FOLDER


def _batches(folder: Path, split: str, max_utterances: int | None = None) -> Iterator[Sequence[dict[str, Any]]]:
    """Utterances of shards with their samples, some at a time."""
    left = max_utterances if max_utterances is not None else 2**31
    for shard in sorted(folder.glob(f"{split}-*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(_AT_ONCE, columns=["id", "text", "speaker", "audio"]):
            rows = batch.to_pylist()[:left]
            left -= len(rows)
            if rows:
                yield [row | {"audio": decode_flac(row["audio"]["bytes"])} for row in rows]
