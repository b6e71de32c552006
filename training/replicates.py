"""Replicates of a study: whole studies of one kind, each of which draws anew what seeds decide.

[`Arguments`] with `--replicates` -> [`plan_replicates`] -> the arguments of each, for a folder of its own.
"""

from dataclasses import replace

from .arguments.study import Arguments
from .run.folder import STUDY_FILE
from .run.replicates_file import write_replicates


def plan_replicates(arguments: Arguments) -> list[Arguments]:
    """
    The studies that a study with `--replicates` is made of.

    The first has the seeds that were given. Those behind it have the corpus seeds that follow, which draw text,
    voices, pairs and k-means, and training seeds that no other has, so that none begins with the weights of another's.

    Args:
        arguments ([`Arguments`]): Of the command.

    Returns:
        `list[Arguments]`: Of each replicate, for a run in `replicate-<corpus seed>` of the output folder.
    """
    seeds = arguments.run.training_seeds
    step = max(seeds) - min(seeds) + 1
    plan = []
    for number in range(arguments.run.replicates):
        corpus = replace(arguments.corpus, corpus_seed=arguments.corpus.corpus_seed + number)
        run = replace(
            arguments.run,
            output_dir=str(arguments.output_dir / f"replicate-{corpus.corpus_seed}"),
            training_seeds=[seed + number * step for seed in seeds],
            replicates=1,
        )
        plan.append(replace(arguments, run=run, corpus=corpus))
    return plan


def say_plan(plan: list[Arguments]) -> str:
    """What each replicate draws anew, and what is the same in all, in a line for a terminal."""
    corpus = plan[0].corpus
    voices = "who says what"
    if corpus.is_recorded:
        text = "which documents are taken, where there are more than --max_words, and their splits"
        voices, same = "who speaks the pairs", "the recordings and their readers are the same"
    elif corpus.corpus == "stories":
        text, same = "its stories", "the language and the voices to choose from are the same"
    else:
        text = "which sections of the text are taken, where there are more than --max_words, and their splits"
        same = "the text and the voices to choose from are the same"
    seeds = ", ".join(str(each.corpus.corpus_seed) for each in plan)
    return (
        f"{len(plan)} replicates (corpus seeds {seeds}). Each draws {text}; {voices}, the minimal pairs and k-means; "
        f"and has training seeds of its own. In all of them {same}."
    )


def open_replicates(arguments: Arguments, plan: list[Arguments]) -> None:
    """
    Make the folder of all replicates, and note in it which they are.

    Raises:
        `NotADirectoryError`: If it is a file.
        `PermissionError`: If it cannot be written to.
        `ValueError`: If it is the folder of a run.
    """
    folder = arguments.output_dir
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; choose another --output_dir.")
    if (folder / STUDY_FILE).exists():
        raise ValueError(f"{folder} is a run by itself; choose another --output_dir for replicates.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_replicates(folder, [each.output_dir.name for each in plan])
    except (PermissionError, NotADirectoryError) as error:
        raise PermissionError(f"{folder} cannot be written to; choose another --output_dir.") from error
