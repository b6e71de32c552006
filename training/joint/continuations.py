"""What joint models write behind prompts, in four directions, and how likely another language model finds it (PELM).

utterances of a split -> [`cut_passages`] -> a prompt and its true continuation, each as text and as units ->
[`generate_continuations`], units being transcribed -> [`measure_continuations`] -> perplexities and shares.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ...datasets_scripts.mixing.sequences import JointUtterance
from ...datasets_scripts.mixing.switching import SPEECH, Span
from ...datasets_scripts.shards.reading import find_shards
from ...metrics.continuation_texts import write_form
from ...metrics.pelm.continuation_quality import judge_continuations, make_anchors, score_with_anchors
from ...models.files import write_json
from ...models.generation.continuation import Drawing
from ...models.generation.joint import continue_contents
from ...models.scoring.continuations import score_continuations
from ...models.scoring.retrieval import DIRECTIONS, UNITS
from ...models.tokenizers.joint import UNIT_MARK
from ...models.unit_quality.quality import SILENCE
from ..run.environment import describe_versions
from ..run.execution import Execution
from ..run.stage import Stage
from .external import describe_model
from .report import estimate_of
from .stages import JointSpeech, read_split

CONTINUATIONS_FILE = "continuations.parquet"
PELM_FILE = "pelm.json"
TOKENISATION = (
    "log P(continuation | BOS, prompt), tokenised separately, the space between them with the continuation; BOS and "
    "prompt not scored, no end of sequence"
)
# Of fewer words nothing would be left to go on from, or to go on with.
_LEAST_WORDS = 6


class UnitsToText(Protocol):
    """What brings units to text, such as a [`~evoslm.models.transcriber.UnitTranscriber`]."""

    def transcribe(self, units: Sequence[Sequence[int]]) -> list[str]:
        """Write what units say; none say `""`."""


@dataclass(frozen=True)
class ContinuationSettings:
    """
    What is asked of a joint model.

    Args:
        directions (`tuple[str, ...]`, *optional*): Modality of the prompt and of its continuation; all four.
        num_prompts (`int`, *optional*, defaults to 100): Passages, the same for all directions and models.
        seed (`int`, *optional*, defaults to 0): Of which passages, of all draws, and of the bootstrap.
        temperature (`float`, *optional*, defaults to 1.0): Of the distribution that tokens are drawn from; 0 takes the
            likeliest.
        top_k (`int`, *optional*): Only the `top_k` likeliest tokens are drawn.
        top_p (`float`, *optional*): Only the likeliest tokens that have this probability together are drawn.
        longest (`float`, *optional*, defaults to 2.0): The longest continuation, in times the longest true one in the
            same pieces.
        form (`str`, *optional*, defaults to `"words"`): What is judged: `"words"` in lower case without punctuation,
            so that transcripts and texts are, in all directions, of one form, or `"text"` as it is.
    """

    directions: tuple[str, ...] = tuple(DIRECTIONS)
    num_prompts: int = 100
    seed: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    longest: float = 2.0
    form: str = "words"

    def __post_init__(self):
        for direction in self.directions:
            if direction not in DIRECTIONS:
                raise ValueError(f"There is no direction {direction!r}; choose from {', '.join(DIRECTIONS)}.")
        if self.num_prompts < 1:
            raise ValueError(f"num_prompts has to be at least 1, not {self.num_prompts}.")
        if self.longest <= 0:
            raise ValueError(f"longest has to be above 0, not {self.longest}.")
        write_form("", self.form)
        self.drawing(1)

    def drawing(self, max_new_tokens: int) -> Drawing:
        """How tokens are drawn, and how many at most."""
        return Drawing(max_new_tokens, self.temperature, self.top_k, self.top_p, self.seed)


def cut_passages(
    utterances: Iterable[tuple[str, JointUtterance]], num_prompts: int = 100, seed: int = 0
) -> list[dict[str, str]]:
    """
    Cut utterances at the word boundary that is nearest to their middle.

    Args:
        utterances (`Iterable[tuple[str, JointUtterance]]`): Ids and utterances.
        num_prompts (`int`, *optional*, defaults to 100): How many are drawn, all where there are no more.
        seed (`int`, *optional*, defaults to 0): Of which.

    Returns:
        `list[dict]`: In their order, `id`, and `prompt_text`, `prompt_units`, `continuation_text` and
        `continuation_units`, units as the joint tokenizer reads them. Utterances of fewer than 6 words, and those with
        no units in a half, are left out.

    Raises:
        `ValueError`: If none is left.
    """
    passages = []
    for name, utterance in utterances:
        count = len(utterance.words)
        spans = {"prompt": (0, (count + 1) // 2), "continuation": ((count + 1) // 2, count)}
        row = {"id": name}
        for part, (first, last) in spans.items():
            row[f"{part}_text"] = " ".join(utterance.words[first:last])
            row[f"{part}_units"] = utterance.alternate([Span(SPEECH, first, last)]).partition(" ")[2]
        if count >= _LEAST_WORDS and row["prompt_units"] and row["continuation_units"]:
            passages.append(row)
    return _draw(passages, num_prompts, seed)


def cut_texts(texts: Iterable[tuple[str, str]], num_prompts: int = 100, seed: int = 0) -> list[dict[str, str]]:
    """
    Cut texts that nobody has spoken, as [`cut_passages`] does: without units, for `"t2t"` alone.

    Args:
        texts (`Iterable[tuple[str, str]]`): Ids and texts.
        num_prompts, seed (*optional*): As there.

    Returns:
        `list[dict]`: `id`, `prompt_text` and `continuation_text`.

    Raises:
        `ValueError`: If none is left.
    """
    passages = []
    for name, text in texts:
        words = text.split()
        middle = (len(words) + 1) // 2
        if len(words) >= _LEAST_WORDS:
            halves = {"prompt_text": " ".join(words[:middle]), "continuation_text": " ".join(words[middle:])}
            passages.append({"id": name} | halves)
    return _draw(passages, num_prompts, seed)


def find_silent_units(utterances: Path, units: Path, split: str, frame_rate: float) -> frozenset[int]:
    """
    Find the units that stand for silence: those of which half of the frames or more are in a pause.

    Args:
        utterances (`Path`): The folder of utterance shards, which have phones.
        units (`Path`): The folder of the shards of their units, one unit a frame.
        split (`str`): The split that is counted.
        frame_rate (`float`): Frames a second.

    Returns:
        `frozenset[int]`: The units.
    """
    silent: dict[int, int] = {}
    for shard in find_shards(utterances, ("id", "phones")).get(split, []):
        phones = pq.read_table(shard, columns=["phones"])["phones"].to_pylist()
        of_frames = pq.read_table(units / Path(shard).name, columns=["units"])["units"].to_pylist()
        for row, own in zip(phones, of_frames):
            starts = np.array([phone["start"] for phone in row])
            middles = (np.arange(len(own)) + 0.5) / frame_rate
            places = np.maximum(np.searchsorted(starts, middles, side="right") - 1, 0)
            for unit, place in zip(own, places.tolist()):
                silent[unit] = silent.get(unit, 0) + (1 if row[place]["phone"] == SILENCE else -1)
    return frozenset(unit for unit, balance in silent.items() if balance >= 0)


def generate_continuations(
    model: Any,
    tokenizer: Any,
    passages: Sequence[dict[str, str]],
    direction: str,
    settings: ContinuationSettings,
    transcriber: UnitsToText | None = None,
    silent_units: Collection[int] = (),
) -> pd.DataFrame:
    """
    Let a model continue prompts in one direction.

    Args:
        model (`PreTrainedModel`): A joint model; for `"t2t"` any model of text.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        passages (`Sequence[dict]`): Of [`cut_passages`] or [`cut_texts`].
        direction (`str`): One of `DIRECTIONS`.
        settings ([`ContinuationSettings`]): How tokens are drawn.
        transcriber ([`UnitsToText`], *optional*): Brings units to text, where the continuation is of units.
        silent_units (`Collection[int]`, *optional*): Units that stand for silence.

    Returns:
        `pd.DataFrame`: A row a passage: `id`, `direction`, `continuation` (text), `units` (`None` of text), `reason`,
        `generated_tokens`, `max_new_tokens` and `silent`: all of its units are silent ones.

    Raises:
        `ValueError`: If there is no transcriber for units, a passage has no units, or as [`continue_contents`].
    """
    before, after = DIRECTIONS[direction]
    if after == UNITS and transcriber is None:
        raise ValueError(f"Continuations of {direction} are units; give what transcribes them.")
    for passage in passages:
        for column in (f"prompt_{before}", f"continuation_{after}"):
            if not passage.get(column):
                raise ValueError(f"Passage {passage['id']!r} has no {column!r}, which {direction} needs.")
    true = [passage[f"continuation_{after}"] for passage in passages]
    limit = ceil(settings.longest * max(map(len, tokenizer(true, add_special_tokens=False).input_ids)))
    prompts = [passage[f"prompt_{before}"] for passage in passages]
    written = continue_contents(model, tokenizer, prompts, direction, settings.drawing(limit))
    texts = [own.text for own in written]
    if after == UNITS:
        texts = transcriber.transcribe([own.units for own in written])
    silent = [bool(own.units) and set(own.units) <= set(silent_units) for own in written]
    return pd.DataFrame(
        {
            "id": [passage["id"] for passage in passages],
            "direction": direction,
            "continuation": texts,
            "units": [own.units for own in written],
            "reason": [own.reason for own in written],
            "generated_tokens": [own.tokens for own in written],
            "max_new_tokens": limit,
            "silent": silent,
        }
    )


def measure_continuations(
    external: str | Path,
    passages: Sequence[dict[str, str]],
    generated: pd.DataFrame,
    settings: ContinuationSettings,
    transcriber: UnitsToText | None = None,
    device: str = "cpu",
) -> dict[str, dict[str, Any]]:
    """
    Measure continuations by another language model.

    Args:
        external (`str` or `Path`): The folder of that model, such as [`external_language_model`] gives.
        passages (`Sequence[dict]`): What was continued.
        generated (`pd.DataFrame`): The rows of [`generate_continuations`], of one direction or more.
        settings ([`ContinuationSettings`]): The form of what is judged, and the seed.
        transcriber ([`UnitsToText`], *optional*): With it, continuations of units have `perplexity_true_transcribed`
            beside the other anchors: of what it makes of the true units, below which no model can be expected.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.

    Returns:
        `dict[str, dict]`: By direction what [`judge_continuations`] returns, with its `outcomes`.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(external, use_safetensors=True)
    # A continuation that is longer than the window of the model that judges is no mistake of the user.
    options = {"long_sequences": "slide", "device": device}
    score = partial(score_continuations, model, AutoTokenizer.from_pretrained(external), **options)
    in_form = partial(write_form, form=settings.form)
    true = [in_form(passage["continuation_text"]) for passage in passages]
    prompts, anchors = [in_form(passage["prompt_text"]) for passage in passages], make_anchors(true, settings.seed)
    transcripts = None
    results = {}
    for direction, rows in generated.groupby("direction", sort=False):
        rows = rows.set_index("id").loc[[passage["id"] for passage in passages]]
        own = dict(anchors)
        if DIRECTIONS[direction][1] == UNITS and transcriber is not None:
            transcripts = transcripts or transcriber.transcribe([_units_of(row) for row in passages])
            own["true_transcribed"] = [in_form(text) for text in transcripts]
        continuations = [in_form(text) for text in rows["continuation"]]
        results[direction] = judge_continuations(
            prompts,
            continuations,
            *score_with_anchors(score, prompts, continuations, own),
            reasons=rows["reason"].tolist(),
            generated_tokens=rows["generated_tokens"].tolist(),
            silent=rows["silent"].tolist(),
            seed=settings.seed,
            return_outcomes=True,
        )
    return results


def estimate_pelm(trainings: Sequence[pd.DataFrame]) -> dict[str, dict[str, Any] | None]:
    """
    Perplexity a word of continuations that do not copy their prompt: the geometric mean over trainings.

    The logarithm of a training's perplexity is nats by words. Its part of one prompt is that prompt's share in the
    linear form of this ratio, so that the parts' mean is the logarithm itself, and the interval is that of a mean over
    prompts and training seeds.

    Args:
        trainings (`Sequence[pd.DataFrame]`): By training the rows of `continuations.parquet`, of the same prompts.

    Returns:
        `dict[str, dict]`: By direction `perplexity`, `by_training`, and `ci_low` and `ci_high` of 95 %, `None` with a
        single training or prompt; `None` in the place of a direction of which a training has nothing to be scored.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for direction in trainings[0]["direction"].unique():
        parts = [_parts_of_logarithm(rows[rows["direction"] == direction].set_index("id")) for rows in trainings]
        if any(part is None for part in parts):
            found[direction] = None
            continue
        values = pd.concat(parts, axis=1, join="inner").to_numpy().T
        estimate = estimate_of(values)
        mean, half = estimate["mean"], estimate["half"]
        with np.errstate(over="ignore"):
            found[direction] = {
                "perplexity": float(np.exp(mean)),
                "ci_low": None if half is None else float(np.exp(max(0.0, mean - half))),  # none is below 1
                "ci_high": None if half is None else float(np.exp(mean + half)),
                "by_training": np.exp(values.mean(axis=1)).tolist(),
            }
    return found


def _parts_of_logarithm(rows: pd.DataFrame) -> pd.Series | None:
    """Of each prompt, whose mean is the logarithm of the perplexity; `None` where nothing is scored."""
    counted = rows["log_likelihood"].notna() & ~rows["copied"]
    nats, words = -rows["log_likelihood"].where(counted, 0.0), rows["words"].where(counted, 0)
    if not words.sum():
        return None
    logarithm = nats.sum() / words.sum()
    return logarithm + (nats - logarithm * words) / words.mean()


def build_continuations(
    folder: Path,
    model: Path,
    utterances: Path,
    units: Path,
    speech: JointSpeech,
    transcriber: Path | None,
    external: Path,
    settings: ContinuationSettings,
    execution: Execution,
) -> None:
    """
    Build the continuations of a joint model on the test split (`continuations.parquet`) and their PELM (`pelm.json`).

    Args:
        folder (`Path`): Where to.
        model (`Path`): The stage of the model.
        utterances (`Path`): The run's utterances.
        units (`Path`): Their units.
        speech ([`JointSpeech`]): How units are written.
        transcriber (`Path`, *optional*): The folder of a `UnitTranscriber`; needed where continuations are units.
        external (`Path`): The folder of the language model that judges.
        settings ([`ContinuationSettings`]): What is asked.
        execution ([`Execution`]): How it is done.

    Raises:
        `ValueError`: If the model would judge itself, or as [`generate_continuations`].
    """
    pinned = {"external": describe_model(external)}
    if pinned["external"] == describe_model(model):
        raise ValueError(f"{external} is the model that is asked: a model cannot judge itself; give another one.")
    if transcriber is not None:
        pinned["transcriber"] = describe_model(transcriber)

    def build(partial_folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        loaded = AutoModelForCausalLM.from_pretrained(model, use_safetensors=True).to(execution.device)
        tokenizer, listens = AutoTokenizer.from_pretrained(model), _load_transcriber(transcriber, execution.device)
        passages = cut_passages(read_split(utterances, units, "test", speech), settings.num_prompts, settings.seed)
        silent = find_silent_units(utterances, units, "train", speech.frame_rate)
        generated = pd.concat(
            generate_continuations(loaded, tokenizer, passages, direction, settings, listens, silent)
            for direction in settings.directions
        )
        pelm = measure_continuations(external, passages, generated, settings, listens, execution.device)
        _keep_outcomes(generated, passages, pelm).to_parquet(partial_folder / CONTINUATIONS_FILE)
        made_with = asdict(settings) | pinned | {"tokenisation": TOKENISATION, "versions": describe_versions()}
        write_json(partial_folder / PELM_FILE, {"directions": pelm, "made_with": made_with})

    configuration = asdict(settings) | {"speech": asdict(speech)} | pinned
    inputs = {"model": model, "utterances": utterances, "units": units}
    stage = Stage(folder, 2, configuration, inputs, packages=("torch", "transformers"))
    stage.run(build, execution.overwrite)


def _keep_outcomes(
    generated: pd.DataFrame, passages: Sequence[dict[str, str]], pelm: dict[str, dict[str, Any]]
) -> pd.DataFrame:
    """The continuations with what was said of each, which is taken out of `pelm`."""
    ids = [passage["id"] for passage in passages]
    outcomes = pd.concat(
        pd.DataFrame(found.pop("outcomes")).assign(id=ids, direction=direction) for direction, found in pelm.items()
    )
    added = ["id", "direction", *(name for name in outcomes if name not in generated)]
    return generated.merge(outcomes[added], on=["id", "direction"], validate="one_to_one")


def _load_transcriber(folder: Path | None, device: str) -> UnitsToText | None:
    if folder is None:
        return None
    from ...models.transcriber import UnitTranscriber

    return UnitTranscriber.from_pretrained(folder).to(device)


def _draw(passages: list[dict[str, str]], num_prompts: int, seed: int) -> list[dict[str, str]]:
    if not passages:
        raise ValueError(f"There are no passages of {_LEAST_WORDS} words or more to be cut; the corpus is too small.")
    if len(passages) <= num_prompts:
        return passages
    chosen = np.random.default_rng(seed).choice(len(passages), num_prompts, replace=False)
    return [passages[number] for number in sorted(chosen.tolist())]


def _units_of(passage: dict[str, str]) -> list[int]:
    return [int(unit) for unit in passage[f"continuation_{UNITS}"].split(UNIT_MARK)[1:]]
