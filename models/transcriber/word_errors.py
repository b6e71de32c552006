"""How many words and characters a transcript has wrong.

references, transcripts -> Whisper's normaliser of English (case, punctuation, numbers, contractions) or of any other
language (case, punctuation) -> alignment by jiwer -> edits of words and of characters, pooled over all utterances.
"""

from collections.abc import Callable, Mapping, Sequence

import jiwer
import numpy as np
from rapidfuzz.distance import Levenshtein
from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

from ..statistics import resampled_means

ENGLISH, BASIC = "english", "basic"
"""Whisper's normalisers: English has one of its own."""
_WITHOUT_SPACES = ("bo", "ja", "km", "lo", "my", "th", "yue", "zh")  # whose letters count as words
_EDITS = ("substitutions", "deletions", "insertions")


def normalizer_of(language: str | None) -> str:
    """
    Which of Whisper's normalisers a text goes through before it is compared.

    Args:
        language (`str`, *optional*): Its language by its code; English when not given.

    Returns:
        `str`: `"english"` or `"basic"`.
    """
    return ENGLISH if language in (None, "en") else BASIC


def recognition_errors(
    references: Sequence[str],
    transcripts: Sequence[str],
    spellings: Mapping[str, str] | None = None,
    language: str | None = None,
) -> dict[str, float]:
    """
    Word and character error rates of transcripts, after Whisper's normalisation (Radford et al., 2022): of English
    case, punctuation, numbers, contractions and fillers; of other languages case and punctuation. Of those that are
    written without spaces, each letter is a word.

    Args:
        references (`Sequence[str]`): What was said.
        transcripts (`Sequence[str]`): What was heard; an empty string where nothing was.
        spellings (`Mapping[str, str]`, *optional*): Of English, British spellings and the American ones that they
            count as, as in the `normalizer.json` of Whisper's repositories. Without it, "colour" for "color" is an
            error.
        language (`str`, *optional*): Language of the speech by its code, such as `"de"`; English when not given.

    Returns:
        `dict[str, float]`:
        - **wer** -- edits of words by words of the references, from 0; more words than were said can bring it above 1.
        - **cer** -- the same of characters.
        - **substitutions**, **deletions**, **insertions** -- edits of words by kind.
        - **words**, **characters** -- those of the references.
        - **utterances** -- how many there are, and **empty**, how many of their transcripts have no words.

    Raises:
        `ValueError`: If there are not as many transcripts as references, or no reference has a word.

    Examples:

    ```python
    >>> from evoslm.models.transcriber import recognition_errors

    >>> errors = recognition_errors(["Mr. Smith saw twenty-one cats."], ["mister smith saw 21 bats"])
    >>> errors["wer"], errors["words"]
    (0.2, 5)
    ```
    """
    if len(references) != len(transcripts):
        raise ValueError(f"There are {len(references)} references, but {len(transcripts)} transcripts; give both.")
    normalize = _make_normalizer(language, spellings)
    said, heard = ([normalize(text) for text in texts] for texts in (references, transcripts))
    pairs = list(zip(said, heard))
    if not any(said):
        raise ValueError("There are no words to be compared with; give the text of at least one utterance.")
    words, characters = _count_edits(pairs, jiwer.process_words), _count_edits(pairs, jiwer.process_characters)
    # Where nothing was said, everything that was heard is too much; jiwer would call it a substitution.
    made_up = [heard for said, heard in pairs if not said]
    words["insertions"] += sum(len(text.split()) for text in made_up)
    characters["insertions"] += sum(map(len, made_up))
    return {
        "wer": sum(words[kind] for kind in _EDITS) / words["said"],
        "cer": sum(characters[kind] for kind in _EDITS) / characters["said"],
        **{kind: words[kind] for kind in _EDITS},
        "words": words["said"],
        "characters": characters["said"],
        "utterances": len(pairs),
        "empty": sum(not heard for _, heard in pairs),
    }


def error_intervals(
    references: Sequence[str], transcripts: Sequence[str], seed: int = 0, language: str | None = None
) -> dict[str, dict[str, float]]:
    """
    Word and character error rates as [`recognition_errors`] counts them, with their intervals over utterances.

    Args:
        references (`Sequence[str]`): What was said.
        transcripts (`Sequence[str]`): What was heard.
        seed (`int`, *optional*, defaults to 0): Of the bootstrap, which draws utterances.
        language (`str`, *optional*): As in [`recognition_errors`].

    Returns:
        `dict[str, dict[str, float]]`: `wer` and `cer`, each with `value` and the ends of its 95 % percentile interval,
        `low` and `high`.

    Raises:
        `ValueError`: As [`recognition_errors`].
    """
    errors = recognition_errors(references, transcripts, language=language)
    normalize = _make_normalizer(language)
    counts = []
    for pair in zip(references, transcripts):
        said, heard = map(normalize, pair)
        word_edits = Levenshtein.distance(said.split(), heard.split())
        counts.append((word_edits, len(said.split()), Levenshtein.distance(said, heard), len(said)))
    drawn = resampled_means(np.array(counts, np.float64), seed)
    drawn = drawn[drawn[:, 1] > 0]  # of few utterances, those without words may be drawn alone
    rates = {"wer": drawn[:, 0] / drawn[:, 1], "cer": drawn[:, 2] / drawn[:, 3]}
    ends = {name: np.quantile(values, [0.025, 0.975]) for name, values in rates.items()}
    return {
        name: {"value": errors[name], "low": float(low), "high": float(high)} for name, (low, high) in ends.items()
    }


def _make_normalizer(language: str | None, spellings: Mapping[str, str] | None = None) -> Callable[[str], str]:
    if normalizer_of(language) == ENGLISH:
        normalize = EnglishTextNormalizer(dict(spellings or {}))
    else:
        normalize = BasicTextNormalizer(split_letters=language in _WITHOUT_SPACES)
    return lambda text: _without_marks_alone(normalize(text))


def _without_marks_alone(text: str) -> str:
    """A normalised text, empty if it has no letter and no number: the normaliser leaves one full stop of three."""
    return text.strip() if any(map(str.isalnum, text)) else ""


def _count_edits(pairs: Sequence[tuple[str, str]], align: Callable) -> dict[str, int]:
    """Edits by kind, and how many words or characters were said, of the pairs in which something was."""
    aligned = align(*map(list, zip(*(pair for pair in pairs if pair[0]))))
    counts = {kind: getattr(aligned, kind) for kind in _EDITS}
    return counts | {"said": aligned.hits + aligned.substitutions + aligned.deletions}
