"""What is continued: beginnings of a run's held-out documents, the twenty prompts of this project, or one's own.

documents of the test split, a YAML or a list of texts -> [`ContinuationPrompt`] -> `prompts.json`; with a rendering of
the run -> [`HeardPrompt`], which every modality's alphabet writes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml

from ....datasets_scripts.shards.reading import find_shards
from ....models.audio import SAMPLE_RATE, decode_flac
from ....models.files import read_json
from ....models.pipelines.alphabets import HeardPrompt
from ....models.pipelines.synthesis import SpeechSynthesizer, SpokenText

HELD_OUT, TOPICS = "heldout", "topics"
PROMPTS_FILE = "prompts.json"
TOPICS_FILE = Path(__file__).with_name("prompts.yaml")
SPLIT = "test"
_SHARES = (0.25, 0.6)  # of a document's words that its prompt has, from the shortest to the longest
_LEAST_BEFORE, _LEAST_BEHIND = 2, 4  # words


@dataclass(frozen=True)
class ContinuationPrompt:
    """
    Something that is continued.

    Args:
        id (`str`): The utterance that it is the beginning of, or a number.
        topic (`str`): What it is about, or the document.
        prompt (`str`): Its text.
        continuation (`str`, *optional*): How the utterance goes on; nobody knows of a text that nobody has spoken.
    """

    id: str
    topic: str
    prompt: str
    continuation: str | None = None

    @property
    def num_words(self) -> int:
        """Words of the prompt."""
        return len(self.prompt.split())


def read_prompts(folder: Path) -> list[ContinuationPrompt]:
    """The prompts of a finished stage."""
    return [ContinuationPrompt(**row) for row in read_json(folder / PROMPTS_FILE)]


def choose_prompts(source: str, utterances: Path, num_prompts: int, seed: int = 0) -> list[dict[str, Any]]:
    """
    Choose prompts.

    Args:
        source (`str`): `"heldout"`, `"topics"`, or a file: a YAML list of texts or of `{topic, text}`, or a .txt with
            a text a line.
        utterances (`Path`): The run's utterances.
        num_prompts (`int`): The most that there are to be.
        seed (`int`, *optional*, defaults to 0): Of which documents, and of how long each prompt is.

    Returns:
        `list[dict]`: [`ContinuationPrompt`]s as JSON, the shortest first.

    Raises:
        `FileNotFoundError`: If there is no such file.
        `ValueError`: If a file holds no texts, or no held-out document is long enough.
    """
    prompts = cut_documents(utterances, num_prompts, seed) if source == HELD_OUT else read_texts(source)[:num_prompts]
    return [asdict(prompt) for prompt in sorted(prompts, key=lambda prompt: (prompt.num_words, prompt.id))]


def read_texts(source: str) -> list[ContinuationPrompt]:
    """
    Read prompts that nobody has spoken.

    Args:
        source (`str`): `"topics"`, or a file as [`choose_prompts`] takes it.

    Returns:
        `list[ContinuationPrompt]`: In their order.

    Raises:
        `FileNotFoundError`, `ValueError`: As [`choose_prompts`].
    """
    path = TOPICS_FILE if source == TOPICS else Path(source)
    if not path.is_file():
        raise FileNotFoundError(
            f"There are no prompts {source!r}; give {HELD_OUT}, {TOPICS}, or a .yaml or .txt file."
        )
    text = path.read_text(encoding="utf-8-sig")
    try:
        rows = text.splitlines() if path.suffix == ".txt" else yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {str(error).splitlines()[0]}.") from None
    rows = [row if isinstance(row, dict) else {"text": row} for row in rows or [] if row]
    if not rows or not all(isinstance(row.get("text"), str) and row["text"].strip() for row in rows):
        raise ValueError(f"{path} is no list of prompts; give texts, or a `text` and a `topic` of each.")
    return [
        ContinuationPrompt(f"{number:02d}", row.get("topic", ""), " ".join(row["text"].split()))
        for number, row in enumerate(rows)
    ]


def cut_documents(utterances: Path, num_prompts: int, seed: int = 0) -> list[ContinuationPrompt]:
    """
    Cut an utterance of each of some held-out documents in two.

    Args:
        utterances (`Path`): Utterance shards with a test split.
        num_prompts (`int`): How many, all documents where there are no more.
        seed (`int`, *optional*, defaults to 0): Of which, and of which share of its words each prompt has: a quarter
            to six tenths, in equal steps.

    Returns:
        `list[ContinuationPrompt]`: In the order of their documents.

    Raises:
        `ValueError`: If no document is long enough.
    """
    first = {}
    for row in _read_rows(utterances, ("id", "document", "words")):
        words = [word["word"] for word in row["words"]]
        if len(words) >= _LEAST_BEFORE + _LEAST_BEHIND:
            first.setdefault(row["document"], (row["id"], words))
    if not first:
        raise ValueError(
            f"No held-out document has {_LEAST_BEFORE + _LEAST_BEHIND} words or more; give --prompts {TOPICS}."
        )
    rng, documents = np.random.default_rng(seed), sorted(first)
    chosen = [documents[place] for place in sorted(rng.permutation(len(documents))[:num_prompts])]
    prompts = []
    for document, share in zip(chosen, rng.permutation(np.linspace(*_SHARES, len(chosen)))):
        name, words = first[document]
        cut = int(np.clip(round(share * len(words)), _LEAST_BEFORE, len(words) - _LEAST_BEHIND))
        prompts.append(ContinuationPrompt(name, str(document), " ".join(words[:cut]), " ".join(words[cut:])))
    return prompts


def hear_prompts(
    prompts: Sequence[ContinuationPrompt], utterances: Path, synthesizer: SpeechSynthesizer
) -> tuple[list[HeardPrompt], list[HeardPrompt] | None, list[float]]:
    """
    Prompts as sound, with words and phones: as a rendering of the run has them, or spoken.

    Args:
        prompts (`Sequence[ContinuationPrompt]`): The prompts.
        utterances (`Path`): Utterances in the voices of a modality.
        synthesizer ([`SpeechSynthesizer`]): Speaks those that are no utterances.

    Returns:
        `tuple`: The prompts; the whole utterances, `None` where prompts are no beginnings of any; and when each prompt
        ends, in seconds.
    """
    if prompts[0].continuation is None:
        spoken = [synthesizer.speak_text(prompt.prompt) for prompt in prompts]
        heard = [HeardPrompt(own.audio, SAMPLE_RATE, own, own.text) for own in spoken]
        return heard, None, [len(own.audio) / SAMPLE_RATE for own in spoken]
    asked = {prompt.id: prompt for prompt in prompts}
    rows = {row["id"]: row for row in _read_rows(utterances, ("id", "speaker", "audio", "words", "phones"), asked)}
    beginnings, wholes, ends = [], [], []
    for prompt in prompts:
        row, count = rows[prompt.id], prompt.num_words
        end = row["words"][count]["start"]
        audio = decode_flac(row["audio"]["bytes"])
        phones = [phone | {"end": min(phone["end"], end)} for phone in row["phones"] if phone["start"] < end]
        first = SpokenText(audio[: round(end * SAMPLE_RATE)], phones, prompt.prompt, row["words"][:count])
        text = f"{prompt.prompt} {prompt.continuation}"
        whole = SpokenText(audio, row["phones"], text, row["words"])
        for spoken, found in ((first, beginnings), (whole, wholes)):
            found.append(HeardPrompt(spoken.audio, SAMPLE_RATE, spoken, spoken.text, row["speaker"]))
        ends.append(end)
    return beginnings, wholes, ends


def _read_rows(folder: Path, columns: Sequence[str], ids: Iterable[str] | None = None) -> Iterable[dict[str, Any]]:
    """Rows of the held-out split, all or those that are asked for."""
    for shard in find_shards(folder, columns).get(SPLIT, []):
        filters = None if ids is None else [("id", "in", list(ids))]
        yield from pq.read_table(shard, columns=list(columns), filters=filters).to_pylist()
