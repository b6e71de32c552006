"""How many words and characters a transcript has wrong.

references, transcripts -> Whisper's English normaliser (case, punctuation, numbers, contractions) -> alignment by
jiwer -> edits of words and of characters, pooled over all utterances.
"""

from collections.abc import Mapping, Sequence

import jiwer
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer


def recognition_errors(
    references: Sequence[str], transcripts: Sequence[str], spellings: Mapping[str, str] | None = None
) -> dict[str, float]:
    """
    Word and character error rates of transcripts, after Whisper's normalisation of English (Radford et al., 2022).

    Args:
        references (`Sequence[str]`): What was said.
        transcripts (`Sequence[str]`): What was heard; an empty string where nothing was.
        spellings (`Mapping[str, str]`, *optional*): British spellings and the American ones that they count as, as in
            the `normalizer.json` of Whisper's repositories. Without it, "colour" for "color" is an error.

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
    normalize = EnglishTextNormalizer(dict(spellings or {}))
    said, heard = ([normalize(text).strip() for text in texts] for texts in (references, transcripts))
    if not any(said):
        raise ValueError("There are no words to be compared with; give the text of at least one utterance.")
    words, characters = jiwer.process_words(said, heard), jiwer.process_characters(said, heard)
    num_words, num_characters = (edits.hits + edits.substitutions + edits.deletions for edits in (words, characters))
    return {
        "wer": _num_edits(words) / num_words,
        "cer": _num_edits(characters) / num_characters,
        "substitutions": words.substitutions,
        "deletions": words.deletions,
        "insertions": words.insertions,
        "words": num_words,
        "characters": num_characters,
        "utterances": len(said),
        "empty": sum(not text for text in heard),
    }


def _num_edits(edits: jiwer.WordOutput | jiwer.CharacterOutput) -> int:
    return edits.substitutions + edits.deletions + edits.insertions
