"""Tasks by the name that a command gives them.

`slue_sa`, `slue_ner`, `sentence_polarity`, `stories_sa`, `stories_ner`, or a file, a folder or a dataset of the Hub ->
[`read_task`] -> [`SluTask`].
"""

import inspect
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .examples import CLASSIFICATION, ENTITIES, MAX_WORDS, SluTask, SourceExample, make_task
from .polarity import read_polarity
from .slue import read_slue
from .stories import NUM_EXAMPLES, tell_entities, tell_sentiments
from .tables import SUFFIXES, read_table_task

TASKS = ("stories_sa", "stories_ner", "slue_sa", "slue_ner", "sentence_polarity")
"""Tasks that have a name; any other is a file, a folder or a dataset of the Hub."""

_STORIES = {"stories_sa": (CLASSIFICATION, tell_sentiments), "stories_ner": (ENTITIES, tell_entities)}
_SLUE = {"slue_sa": CLASSIFICATION, "slue_ner": ENTITIES}
# Of the embedded tasks a fixed share: a quarter of what is told is not for training.
_STORIES_FRACTION = 0.125


class _Source(NamedTuple):
    """What a reader gives: the kind of the task, its examples, and what was left out so far."""

    kind: str
    examples: Iterable[SourceExample]
    dropped: Counter


def read_task(
    task: str,
    seed: int = 0,
    limit: int | None = None,
    max_words: int = MAX_WORDS,
    validation_fraction: float | None = None,
    test_fraction: float | None = None,
    **options,
) -> SluTask:
    """
    Read a task of spoken language understanding.

    Args:
        task (`str`): `"stories_sa"` or `"stories_ner"`, told in the simple stories' language; `"slue_sa"` or
            `"slue_ner"`; `"sentence_polarity"`; or a .csv, .tsv, .jsonl or .parquet file of one's own, a folder of
            them, or a dataset of the Hub.
        seed (`int`, *optional*, defaults to 0): Of what is told, of splits that are drawn and of what `limit` leaves.
        limit (`int`, *optional*): Examples that are kept, of each split in proportion; of the embedded tasks, 4,000 by
            default, so many are told.
        max_words (`int`, *optional*, defaults to 80): Longer texts are left out, and counted in `dropped`.
        validation_fraction (`float`, *optional*): Share of validation where it is drawn: 0.1, or 0.125 of the embedded
            tasks, by default.
        test_fraction (`float`, *optional*): Share of test where it is drawn, as above.
        options (*optional*): Of the embedded tasks `lexicon` and `avoid` (sentences that are not told), see
            [`tell_sentiments`]; of SLUE `source` (by default `asapp/slue` on the Hub, else a folder) and `revision`;
            of `sentence_polarity` `source`, its folder; of one's own data those of [`read_table_task`].

    Returns:
        [`SluTask`]

    Raises:
        `FileNotFoundError`: If there is no such file, folder or dataset.
        `ValueError`: If there is no such task or option, a column is missing, a text is empty, an entity is not in its
            text, there are fewer examples than asked for, or the training split has one class only, or no entity.
    """
    reader = _STORIES.get(task, (None, None))[1] or _READERS.get(task, read_table_task)
    _check_options(task, reader, options)
    if task in _STORIES:
        kind, tell = _STORIES[task]
        number = NUM_EXAMPLES if limit is None else limit
        source, fraction = _Source(kind, tell(seed, number, **options), Counter()), _STORIES_FRACTION
    else:
        source, fraction = _read_source(task, options), 0.1
    return make_task(
        task if task in TASKS else Path(task).stem,
        source.kind,
        source.examples,
        seed=seed,
        limit=limit,
        max_words=max_words,
        validation_fraction=fraction if validation_fraction is None else validation_fraction,
        test_fraction=fraction if test_fraction is None else test_fraction,
        dropped=source.dropped,
    )


_READERS = {"slue_sa": read_slue, "slue_ner": read_slue, "sentence_polarity": read_polarity}
_OWN_ARGUMENTS = {"task", "kind", "dropped", "seed", "number"}


def _check_options(task: str, reader, options: dict) -> None:
    """Raise `ValueError` at a task or an option that there is not."""
    if reader is read_table_task and not Path(task).exists():
        if Path(task).suffix in SUFFIXES or Path(task).is_absolute():
            raise FileNotFoundError(f"There is no file or folder {task}.")
        if "/" not in task:
            raise ValueError(
                f"There is no task {task!r}; choose from {', '.join(TASKS)}, or give a file, a folder or a dataset of "
                "the Hub (user/name)."
            )
    taken = [name for name in inspect.signature(reader).parameters if name not in _OWN_ARGUMENTS]
    if reader is read_table_task:
        taken = ["kind", *(name for name in taken if name != "source")]
    for name in options:
        if name not in taken:
            raise ValueError(f"The task {task} has no option {name!r}; its options are {', '.join(taken)}.")
    if reader is read_polarity and "source" not in options:
        raise ValueError("The task sentence_polarity needs source, the folder of pos.txt and neg.txt.")


def _read_source(task: str, options: dict) -> _Source:
    dropped: Counter = Counter()
    # A generator counts while it is read: all of it is read before what was left out is asked for.
    if task in _SLUE:
        examples = list(read_slue(task, _SLUE[task], dropped, **options))
        return _Source(_SLUE[task], examples, dropped)
    if task == "sentence_polarity":
        return _Source(CLASSIFICATION, read_polarity(**options), dropped)
    kind, rows = read_table_task(task, dropped=dropped, **options)
    return _Source(kind, list(rows), dropped)
