"""The tasks by name: each is one question that a language model is asked with minimal pairs.

pairs of a task -> [`TASKS`] -> how they are judged and shown. A new task is one entry here, what makes its items, and
its metric's folder; the folders hold links to this file, because the Hub loads each of them by itself.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ItemCheck:
    """
    What must not solve a task's items: rules that are right for about half of them, or the items test nothing.

    Args:
        baselines (`tuple[str, ...]`): The rules, by their names among the baselines.
        against (`str`): What they are, in words.
        tolerance (`float`): How far from one half each may be, as a fraction.
        modalities (`tuple[str, ...]`, *optional*): Over whose ids they are; by default they are not over ids, and any
            modality has them.
        out_of_reach (`bool`, *optional*, defaults to `False`): Whether n-grams are asked about those pairs alone whose
            cue and target no window of theirs holds, where the pairs say how far these are apart.
    """

    baselines: tuple[str, ...]
    against: str
    tolerance: float
    modalities: tuple[str, ...] = ()
    out_of_reach: bool = False


@dataclass(frozen=True)
class Task:
    """
    One question that minimal pairs ask.

    Args:
        name (`str`): The name in commands, folders and rows of pairs.
        label (`str`): The name in tables and figures.
        meaning (`str`): What it is about, in a word.
        description (`str`): What a pair of it is, in a sentence.
        rule (`str`): By what its headline compares the sides: `"sum"` or `"mean"` (per token) of log-likelihoods.
        first_column (`str`): What its groups are, at the head of their table.
        needs_context (`bool`, *optional*, defaults to `False`): Whether both sides continue a context.
        bands (`tuple[str, ...]`, *optional*): The bands that its groups are, in their order, where it has any.
        headline_bands (`tuple[str, ...]`, *optional*): The bands that its headline counts. By default it counts all
            pairs.
        counted (`str`, *optional*): What its headline counts, in words, with the bands as `{bands}`.
        check ([`ItemCheck`], *optional*): What must not solve its items.
    """

    name: str
    label: str
    meaning: str
    description: str
    rule: str
    first_column: str
    needs_context: bool = False
    bands: tuple[str, ...] = ()
    headline_bands: tuple[str, ...] = ()
    counted: str = ""
    check: ItemCheck | None = None


TASKS = {
    task.name: task
    for task in (
        Task(
            "swuggy",
            "sWUGGY",
            "words",
            "Lexical minimal pairs: a word of the training text against a pseudo-word that letter and phone n-grams "
            "up to order 3 find as probable (in the bands that are not marked as unbalanced).",
            rule="sum",
            first_column="Occurrences in training",
            bands=("1-5", "6-20", "21-100", "21-100, unbalanced", ">100, unbalanced"),
            headline_bands=("1-5", "6-20", "21-100"),
            counted="words of the frequency bands {bands}",
            check=ItemCheck(
                ("ngram1", "ngram2", "ngram3"),
                "1- to 3-grams over letters and phones",
                tolerance=0.05,
                modalities=("text_raw", "phone_raw"),
            ),
        ),
        Task(
            "sblimp",
            "sBLIMP",
            "syntax",
            "Syntactic minimal pairs: a grammatical sentence against an ungrammatical one.",
            rule="sum",
            first_column="Phenomenon",
            # A piece of Phone-BPE may cross words, so how far its n-grams reach is not known.
            check=ItemCheck(
                ("ngram1", "ngram2", "ngram3", "ngram4", "ngram5"),
                "n-grams whose window does not reach from the cue to the target",
                tolerance=0.05,
                modalities=("text_raw", "text_bpe", "phone_raw"),
                out_of_reach=True,
            ),
        ),
        Task(
            "topic_sc",
            "Topic-SC",
            "topics",
            "Semantic minimal pairs: a context of three to five sentences, its true ending and the ending of another "
            "topic or book, of which neither has more words in common with the context (all but the unbalanced ones).",
            rule="mean",
            first_column="Topic or document",
            needs_context=True,
            bands=("balanced", "unbalanced"),
            headline_bands=("balanced",),
            counted="{bands} pairs",
            check=ItemCheck(
                ("overlap", "overlap_rarity", "overlap_phones"), "words in common with the context", tolerance=0.02
            ),
        ),
    )
}
