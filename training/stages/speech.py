"""The stage of synthesized speech, and what a corpus amounts to."""

from pathlib import Path

import pyarrow.parquet as pq

from ...datasets_scripts.text.passages import SPLITS, read_passages
from ...models.files import write_json
from ..arguments.study import Arguments
from ..run.folder import PASSAGES_FILE, SUMMARY_FILE, Run
from ..run.stage import Stage
from ..run.workers import count_cores

# Recordings of up to 30 s may be read faster than the synthetic voices speak; models see 2,048 frames, which is 41 s.
_LONGEST_TRANSCRIPT = 40.0


def build_utterances(arguments: Arguments, run: Run, voices: str) -> Path:
    """
    Build the speech stage in one set of voices: parquet shards, `skipped.jsonl` and `summary.json`.

    Interrupted, it keeps every finished shard.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.
        voices (`str`): `"one"` or `"many"`.

    Returns:
        `Path`: The stage's folder.
    """
    from ...datasets_scripts.shards.utterance_rows import MAX_SECONDS
    from ...datasets_scripts.synthesis.utterances import render_utterances

    corpus = arguments.corpus
    folder = run.utterances(voices)
    configuration = {
        "voices": voices,
        "rate": corpus.rate,
        "seed": corpus.corpus_seed,
        "max_skipped_fraction": corpus.max_skipped_fraction,
    }

    def build(partial: Path) -> None:
        summary = render_utterances(
            list(read_passages(run.passages / PASSAGES_FILE)),
            partial,
            voices=voices,
            rate=corpus.rate,
            seed=corpus.corpus_seed,
            num_proc=arguments.run.num_proc or count_cores(),
            max_skipped_fraction=corpus.max_skipped_fraction,
            max_seconds=_LONGEST_TRANSCRIPT if corpus.is_recorded else MAX_SECONDS,
        )
        summary["stretch_factor"] = count_stretch_factor(partial)
        write_json(partial / SUMMARY_FILE, summary)

    Stage(folder, 1, configuration, {"passages": run.passages}).run(build, arguments.run.overwrite)
    return folder


def count_stretch_factor(folder: Path) -> int:
    """How often Phone-Stretch repeats each phone: the training split's frames a phone, rounded."""
    frames = phones = 0
    for path in sorted(folder.glob("train-*.parquet")):
        table = pq.read_table(path, columns=["duration", "phones"])
        frames += sum(round(duration * 50) for duration in table["duration"].to_pylist())
        phones += len(table["phones"].combine_chunks().flatten())
    return max(1, round(frames / phones))


def summarize_corpus(run: Run, arguments: Arguments) -> dict:
    """What the corpus amounts to, split by split, from the utterances that were kept."""
    summary = {
        "corpus": arguments.corpus.corpus,
        "voices": arguments.corpus.own_voices,
        "rate": None if arguments.corpus.is_recorded else arguments.corpus.rate,
        "words": {},
        "utterances": {},
        "seconds": {},
        "documents": {},
    }
    speakers = set()
    for split in SPLITS:
        shards = sorted(run.utterances().glob(f"{split}-*.parquet"))
        rows = [pq.read_table(path, columns=["document", "text", "speaker", "duration"]) for path in shards]
        summary["utterances"][split] = sum(len(table) for table in rows)
        summary["words"][split] = sum(len(text.split()) for table in rows for text in table["text"].to_pylist())
        summary["seconds"][split] = round(sum(sum(table["duration"].to_pylist()) for table in rows), 2)
        summary["documents"][split] = len({name for table in rows for name in table["document"].to_pylist()})
        speakers.update(name for table in rows for name in table["speaker"].unique().to_pylist())
    summary["speakers"] = len(speakers)
    return summary
