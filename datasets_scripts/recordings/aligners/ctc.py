"""Forced alignment with a CTC model of characters: any `AutoModelForCTC` from the Hub or a folder.

samples -> log-probabilities of characters -> `torchaudio.functional.forced_align` -> times of words -> [`Alignment`].
A CTC model knows letters, not phones: those of a word are espeak's, at the times that espeak would give them in it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ....models.audio import SAMPLE_RATE
from ....models.speech_units.runs import collapse_runs
from ...synthesis.phone_events import TimedPhone
from ...synthesis.synthesizer import Rendering, shared_synthesizer
from .alignment import Alignment, AlignmentError, phones_by_word, tokens_of

# CTC puts a letter on a few frames and leaves the rest of its sound to the blank: a gap between words is mostly sound,
# and is shared by them, unless it is long enough to be a pause.
_PAUSE = 0.25
_EDGE = 0.08
# A model that reads the language has less than half of the letters wrong; a transcript of other speech has more.
MIN_SCORE = -0.5


class CtcAligner:
    """
    Aligns with a model that writes characters.

    Args:
        model (`transformers.PreTrainedModel`): Waveforms -> `logits` of shape `(batch, frames, vocabulary)`.
        processor: The model's processor, with `feature_extractor` and `tokenizer`.
        min_score (`float`, *optional*, defaults to -0.5): A transcript with a lower score is refused. The score is
            minus the number of letters in which it differs from what the model itself reads, as a share of its own.
    """

    def __init__(self, model, processor, min_score: float = MIN_SCORE):
        self.model = model.eval()
        self.processor = processor
        self.min_score = min_score
        self._synthesizer = shared_synthesizer()

    @classmethod
    def from_pretrained(cls, name: str, min_score: float = MIN_SCORE, revision: str | None = None) -> "CtcAligner":
        """
        Load a model and its processor.

        Args:
            name (`str`): A folder, or a name on the Hub. Only safetensors are read.
            min_score (`float`, *optional*, defaults to -0.5): See [`CtcAligner`].
            revision (`str`, *optional*): Commit, branch or tag on the Hub.

        Raises:
            `FileNotFoundError`: If they cannot be loaded.
            `ValueError`: If the model reads audio at another rate than 16 kHz.
        """
        from transformers import AutoModelForCTC, AutoProcessor

        try:
            model = AutoModelForCTC.from_pretrained(name, revision=revision, use_safetensors=True)
            processor = AutoProcessor.from_pretrained(name, revision=revision)
        except (OSError, ValueError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            where = "in the folder" if Path(name).is_dir() else "as a folder or on the Hub under the name"
            raise FileNotFoundError(f"No CTC model with its processor was found {where} {name!r}: {reason}") from error
        rate = processor.feature_extractor.sampling_rate
        if rate != SAMPLE_RATE:
            raise ValueError(f"The model {name!r} reads audio at {rate} Hz; choose one for {SAMPLE_RATE} Hz.")
        return cls(model, processor, min_score)

    def align(self, audio: np.ndarray, text: str, name: str = "") -> Alignment:
        """
        Find the phones of a transcript in a recording; see [`~alignment.Aligner`].

        Raises:
            `AlignmentError`: If the transcript does not fit the recording, or has letters that the model lacks.
        """
        emissions, seconds_per_frame = self._emissions(audio)
        ids, owners = self._letters(text)
        score = -_differences(greedy_ids(emissions, self._blank), ids) / len(ids)
        if score < self.min_score:
            raise AlignmentError(
                f"The transcript does not match the recording: the model reads {-score:.0%} of its letters "
                f"differently, more than {-self.min_score:.0%}."
            )
        words = word_spans(emissions, ids, owners, self._blank)
        times = {
            owner: (round(first * seconds_per_frame * SAMPLE_RATE), round(last * seconds_per_frame * SAMPLE_RATE))
            for owner, (first, last) in words.items()
        }
        try:
            rendering = self._synthesizer.render(text)
        except ValueError as error:
            raise AlignmentError(str(error)) from error
        return Alignment(share_phones(rendering, with_shared_gaps(times, len(audio))), score)

    @property
    def _blank(self) -> int:
        return self.processor.tokenizer.pad_token_id

    def _emissions(self, audio: np.ndarray) -> tuple[np.ndarray, float]:
        """Log-probabilities of shape `(frames, vocabulary)`, and how long a frame is."""
        import torch

        samples = audio.astype(np.float32) / (32768 if audio.dtype == np.int16 else 1)
        inputs = self.processor.feature_extractor(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        with torch.inference_mode():
            logits = self.model(**inputs).logits[0].float()
        return logits.log_softmax(-1).numpy(), len(audio) / SAMPLE_RATE / len(logits)

    def _letters(self, text: str) -> tuple[list[int], list[int | None]]:
        """Ids of the letters of the text that the model has, and the index of the word of each."""
        vocabulary = self.processor.tokenizer.get_vocab()
        delimiter = getattr(self.processor.tokenizer, "word_delimiter_token", None)
        letters: list[str] = []
        owners: list[int | None] = []
        for index, token in enumerate(tokens_of(text)):
            own = [_known(character, vocabulary) for character in token.word]
            own = [letter for letter in own if letter]
            if not own and any(character.isalpha() for character in token.word):
                raise AlignmentError(f"The model has no letter of {token.word!r}.")
            if own and letters and delimiter in vocabulary:
                letters.append(delimiter)
                owners.append(None)
            letters += own
            owners += [index] * len(own)
        if not letters:
            raise AlignmentError("The transcript is empty.")
        return [vocabulary[letter] for letter in letters], owners


def greedy_ids(emissions: np.ndarray, blank: int) -> list[int]:
    """What a CTC model reads by itself: the best symbol of each frame, repeats and blanks taken out."""
    best = emissions.argmax(-1)
    return [symbol for symbol in collapse_runs(best) if symbol != blank]


def word_spans(
    emissions: np.ndarray, ids: Sequence[int], owners: Sequence[int | None], blank: int
) -> dict[int, tuple[int, int]]:
    """
    First frame and end of each word on the best path of the letters.

    Args:
        emissions (`np.ndarray` of shape `(frames, vocabulary)`): Log-probabilities.
        ids (`Sequence[int]`): Ids of the transcript's letters.
        owners (`Sequence[int | None]`): Index of the word of each letter; `None` for what stands between words.
        blank (`int`): Id of the CTC blank.

    Raises:
        `AlignmentError`: If there are more letters than frames.
    """
    import torch
    from torchaudio.functional import forced_align, merge_tokens

    repeats = sum(a == b for a, b in zip(ids, ids[1:]))
    if len(ids) + repeats > len(emissions):
        raise AlignmentError(f"The transcript has {len(ids)} letters, too many for {len(emissions)} frames.")
    path, scores = forced_align(torch.from_numpy(emissions)[None], torch.tensor([list(ids)]), blank=blank)
    spans: dict[int, tuple[int, int]] = {}
    for owner, span in zip(owners, merge_tokens(path[0], scores[0], blank=blank)):
        if owner is None:
            continue
        first = spans[owner][0] if owner in spans else span.start
        spans[owner] = (first, span.end)
    return spans


def with_shared_gaps(times: Mapping[int, tuple[int, int]], num_samples: int) -> dict[int, tuple[int, int]]:
    """Widen words, in samples, over the gaps between them that are no pauses, half a gap each."""
    pause, edge = round(_PAUSE * SAMPLE_RATE), round(_EDGE * SAMPLE_RATE)
    words = sorted(times)
    widened = {word: list(times[word]) for word in words}
    for word, following in zip(words, words[1:]):
        end, start = times[word][1], times[following][0]
        middle = (end + start) // 2
        widened[word][1], widened[following][0] = (
            (middle, middle) if start - end < pause else (end + edge, start - edge)
        )
    if words:
        widened[words[0]][0] = max(0, times[words[0]][0] - edge)
        widened[words[-1]][1] = min(num_samples, times[words[-1]][1] + edge)
    return {word: (start, end) for word, (start, end) in widened.items()}


def share_phones(rendering: Rendering, times: Mapping[int, tuple[int, int]]) -> list[TimedPhone]:
    """
    Place espeak's phones of each word into the word's time in the recording, in proportion to espeak's own times.

    Args:
        rendering (`Rendering`): espeak's reading of the text.
        times (`Mapping[int, tuple[int, int]]`): Start and end of each white-space word, in samples.
    """
    phones: list[TimedPhone] = []
    for index, own in enumerate(phones_by_word(rendering)):
        if not own or index not in times:
            continue
        start, end = times[index]
        lengths = np.cumsum([0.0, *(phone["end"] - phone["start"] for phone in own)])
        bounds = np.rint(start + (end - start) * lengths / lengths[-1]).astype(int).tolist()
        phones += [TimedPhone(phone["phone"], a, b, index) for phone, a, b in zip(own, bounds, bounds[1:])]
    return phones


def _known(character: str, vocabulary: Mapping[str, int]) -> str | None:
    """The letter as the model writes it: models have small or capital letters."""
    if not (character.isalnum() or character == "'"):
        return None
    return next((form for form in (character, character.upper(), character.lower()) if form in vocabulary), None)


def _differences(first: Sequence[int], second: Sequence[int]) -> int:
    """Edit distance."""
    row = np.arange(len(second) + 1)
    target = np.asarray(second)
    offsets = np.arange(len(second) + 1)
    for i, symbol in enumerate(first, 1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (target != symbol))
        # Insertions run along the row: a running minimum once the price of each place is taken off.
        row = np.minimum.accumulate(np.concatenate([[i], changed]) - offsets) + offsets
    return int(row[-1])
