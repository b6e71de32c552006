"""ABX of phones in context by fastabx, where it is installed: triphones that differ in the phone in the middle.

aligned phones and speakers of the recordings that are measured -> triphones, no more than count -> their frames, as
features that a quantizer clusters and as units -> fastabx -> [`measure_phone_abx`], a row a quantizer and form.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from itertools import count

import numpy as np
import torch

from ...models.speech_units.features import check_audio
from ...models.unit_quality.phone_discovery import phone_runs
from ...models.unit_quality.quality import SILENCE
from ..external_units.callables import CallableUnits
from ..external_units.tables import TableUnits
from .encoding import EncodedRecordings
from .sources import MeasuredRecording

NOT_INSTALLED = "fastabx is not installed: `pip install 'evoslm[abx]'` (Python 3.12 or later)."
MAX_TOKENS, MAX_SPEAKERS = 10, 5
"""Of a triphone by a speaker, and of speakers of X to an A and B: those of the ZeroSpeech challenge."""
_NO_PHONES = {SILENCE, "SPN"}


@dataclass(frozen=True)
class Triphone:
    """
    A phone between two others, as it was said.

    Args:
        recording (`int`): In which recording.
        first (`int`): The first frame whose middle lies in one of the three phones.
        end (`int`): The frame behind the last.
        phones (`tuple[str, str, str]`): Without stress.
        speaker (`str`): Who says it.
    """

    recording: int
    first: int
    end: int
    phones: tuple[str, str, str]
    speaker: str


def why_no_phone_abx(measured: EncodedRecordings) -> str | None:
    """Why phones cannot be compared by ABX, in a sentence; `None` where they can."""
    if not any(measured.aligned):
        return "The recordings have no phones."
    return NOT_INSTALLED if find_spec("fastabx") is None else None


def find_triphones(measured: EncodedRecordings, seed: int = 0) -> list[Triphone]:
    """
    The triphones without pauses that can be compared: another phone is said between the same two.

    Args:
        measured ([`EncodedRecordings`]): Recordings with phones.
        seed (`int`, *optional*, defaults to 0): Of the [`MAX_TOKENS`] that are drawn where a speaker says one more
            often.

    Returns:
        `list[Triphone]`: In the order of the recordings.
    """
    said: dict[tuple, list[Triphone]] = defaultdict(list)
    middles: dict[tuple[str, str], set[str]] = defaultdict(set)
    units = next(iter(measured.units.values()))
    for index, (aligned, speaker) in enumerate(zip(measured.aligned, measured.speakers)):
        names, starts = phone_runs(aligned)
        edges = [*starts, aligned[-1]["end"]] if aligned else []
        for place in range(len(names) - 2):
            phones = tuple(names[place : place + 3])
            first, end = (_first_frame(edges[at], measured.frame_rate) for at in (place, place + 3))
            end = min(end, len(units[index]))
            if first < end and not _NO_PHONES & set(phones):
                said[speaker, phones].append(Triphone(index, first, end, phones, speaker))
                middles[phones[0], phones[2]].add(phones[1])
    drawn = random.Random(seed)
    kept = [
        triphone
        for (_, (before, _, behind)), tokens in said.items()
        if len(middles[before, behind]) > 1
        for triphone in (tokens if len(tokens) <= MAX_TOKENS else drawn.sample(tokens, MAX_TOKENS))
    ]
    return sorted(kept, key=lambda triphone: (triphone.recording, triphone.first))


@torch.no_grad()
def cut_features(
    models: dict, batches: Iterable[list[MeasuredRecording]], triphones: Sequence[Triphone]
) -> dict[str, list[np.ndarray]]:
    """
    Frames of triphones as each quantizer compares them with its centroids.

    Args:
        models (`dict`): Quantizers of one encoder by normalisation.
        batches (`Iterable[list[MeasuredRecording]]`): The recordings that triphones are of, in their order.
        triphones (`Sequence[Triphone]`): What [`find_triphones`] gives.

    Returns:
        `dict[str, list[np.ndarray]]`: By normalisation, float32 `(num_frames, feature_size)` of each triphone;
        nothing of quantizers from elsewhere or of segments, which have no features of frames.
    """
    first = next(iter(models.values()))
    if isinstance(first, (CallableUnits, TableUnits)) or first.config.segment_parts:
        return {}
    cuts: dict[int, list[Triphone]] = defaultdict(list)
    for triphone in triphones:
        cuts[triphone.recording].append(triphone)
    features: dict[str, list[np.ndarray]] = {normalization: [] for normalization in models}
    numbers = count()
    for batch in batches:
        wanted = [(row, cuts[number]) for row, number in zip(batch, numbers) if number in cuts]
        if not wanted:
            continue
        audio = [check_audio(row.audio, first.config.hop_length, row.document) for row, _ in wanted]
        frames, speakers = first.encoder(audio), [row.speaker for row, _ in wanted]
        for normalization, model in models.items():
            for (_, cut), matrix in zip(wanted, model.features_of_frames(frames, speakers)):
                matrix = matrix.float().cpu().numpy()
                features[normalization] += [matrix[triphone.first : triphone.end].copy() for triphone in cut]
    return features


def measure_phone_abx(
    triphones: Sequence[Triphone],
    units: dict[str, list[np.ndarray]],
    features: dict[str, list[np.ndarray]],
    seed: int = 0,
) -> dict:
    """
    ABX errors of triphones, within and across speakers.

    A and B have the same phones around different ones and one speaker; X is A's phone by the same speaker (within) or
    by another (across). Distances are along a path by dynamic time warping, between features by their angle and
    between units 0 or 1. Errors are averaged over contexts, then speakers, then pairs of phones.

    Args:
        triphones (`Sequence[Triphone]`): What [`find_triphones`] gives.
        units (`dict[str, list[np.ndarray]]`): By normalisation, the units of each recording, one a frame.
        features (`dict[str, list[np.ndarray]]`): What [`cut_features`] gives.
        seed (`int`, *optional*, defaults to 0): Of what is drawn.

    Returns:
        `dict`: `engine`, fastabx and its version; `triphones`, their number; and `rows`, each of a `normalization` and
        `of` `"features"` or `"units"` with `within_speaker` and `across_speaker`, NaN where there is nothing to
        compare.
    """
    rows = []
    for normalization, encoded in units.items():
        cut = [encoded[triphone.recording][triphone.first : triphone.end, None] for triphone in triphones]
        forms = {"features": (features.get(normalization), "angular"), "units": (cut, "identical")}
        for form, (frames, distance) in forms.items():
            if frames is not None:
                errors = _abx_errors(triphones, frames, distance, seed)
                rows.append({"normalization": normalization, "of": form} | errors)
    return {"engine": f"fastabx {version('fastabx')}", "triphones": len(triphones), "rows": rows}


def _abx_errors(triphones: Sequence[Triphone], frames: list[np.ndarray], distance: str, seed: int) -> dict[str, float]:
    from fastabx import Dataset, EmptyTaskError, InMemoryAccessor, Score, Task
    from polars import DataFrame

    errors = dict.fromkeys(("within_speaker", "across_speaker"), float("nan"))
    if not triphones:
        return errors
    before, middle, behind = zip(*(triphone.phones for triphone in triphones))
    speakers = [triphone.speaker for triphone in triphones]
    labels = DataFrame({"phone": middle, "before": before, "behind": behind, "speaker": speakers})
    ends = np.cumsum([0, *map(len, frames)]).tolist()
    accessor = InMemoryAccessor(
        dict(enumerate(zip(ends, ends[1:]))), torch.from_numpy(np.concatenate(frames)), torch.device("cpu")
    )
    dataset, subsampler = Dataset(labels, accessor), _subsampler(seed)
    conditions = {
        "within_speaker": {"by": ["before", "behind", "speaker"]},
        "across_speaker": {"by": ["before", "behind"], "across": ["speaker"]},
    }
    for name, condition in conditions.items():
        try:
            task = Task(dataset, on="phone", subsampler=subsampler, **condition)
        except EmptyTaskError:
            continue
        errors[name] = Score(task, distance, progress=False).collapse(levels=[("behind", "before"), "speaker"])
    return errors


def _subsampler(seed: int):
    """fastabx's, which draws by the order of the rows that it is given: by itself it is another one each time."""
    import polars
    from fastabx import Subsampler

    class SortedSubsampler(Subsampler):
        """Rows in the order of their labels."""

        def __call__(self, lazy_cells, *, with_across: bool):
            labels = [name for name, kind in lazy_cells.collect_schema().items() if kind == polars.String]
            return super().__call__(lazy_cells.sort(labels), with_across=with_across).sort(labels)

    return SortedSubsampler(MAX_TOKENS, MAX_SPEAKERS, seed)


def _first_frame(time: float, frame_rate: float) -> int:
    """The first frame whose middle does not lie before a time."""
    return max(0, int(np.ceil(time * frame_rate - 0.5 - 1e-6)))
