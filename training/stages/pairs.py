"""The stages of the minimal pairs: text of the pairs -> their phones and speech, in the run's voices.

word counts, grammar frames or BLiMP, held-out passages -> `PairText` of three tasks -> one row a pair and voice, in
text, phones, stretched and repeated phones and audio.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ...datasets_scripts.pairs.texts import PairText
from ...datasets_scripts.text.passages import Passage, read_passages
from ...models.files import read_json, write_json
from ..arguments.study import RECORDED, Arguments
from ..run.folder import HELD_OUT_FILE, PAIRS_FILE, PASSAGES_FILE, SUMMARY_FILE, Run
from ..run.stage import Stage
from ..run.workers import count_cores

# Of the sWUGGY pairs, the share in the two frequency bands that the headline is about.
_HEADLINE_SHARE = 0.8
_BLIMP_ON_THE_HUB = "nyu-mll/blimp"


def build_pairs_text(arguments: Arguments, run: Run) -> Path:
    """
    Build the text of the minimal pairs: `pairs.parquet` and `summary.json`.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.

    Returns:
        `Path`: The stage's folder.
    """
    stories = arguments.corpus.corpus == "stories"
    blimp = None if stories else find_blimp(arguments)
    configuration = {
        "pairs_per_task": arguments.pairs.pairs_per_task,
        "seed": arguments.corpus.corpus_seed,
        "bpe_vocab_size": arguments.model.bpe_vocab_size,
        "sblimp": "stories" if stories else _describe_blimp(blimp),
        "blimp_min_count": None if stories else arguments.pairs.blimp_min_count,
    }

    def build(folder: Path) -> None:
        passages = list(read_passages(run.passages / PASSAGES_FILE))
        train = [passage for passage in passages if passage.split == "train"]
        held_out = list(read_passages(run.passages / HELD_OUT_FILE))
        pairs, summary = [], {}
        makers = {
            "swuggy": lambda: _make_swuggy(arguments, run, train),
            "sblimp": lambda: _make_sblimp(arguments, train, blimp),
            "topic_sc": lambda: _make_topic_sc(arguments, held_out),
        }
        for task, make in makers.items():
            try:
                made, report = make()
            except ValueError as error:
                # Recordings are few and say what they say; the other tasks can still be asked.
                if not arguments.corpus.is_recorded:
                    raise
                made, report = [], {"left_out": str(error)}
            pairs += made
            summary[task] = {"made": len(made), "report": report}
        if not pairs:
            why = next(iter(summary.values()))["report"]["left_out"]
            raise ValueError(f"No minimal pairs can be made of these recordings; {why}")
        pq.write_table(pa.Table.from_pylist([asdict(pair) for pair in pairs]), folder / PAIRS_FILE)
        write_json(folder / SUMMARY_FILE, summary)

    inputs = {"passages": run.passages, "utterances": run.utterances()}
    Stage(run.pairs_text, 2, configuration, inputs).run(build, arguments.run.overwrite)
    return run.pairs_text


def build_pairs(arguments: Arguments, run: Run, voices: str) -> Path:
    """
    Speak the minimal pairs in one set of voices: `<task>/test-*.parquet` and `summary.json`.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.
        voices (`str`): `"one"`, `"many"` or `"recorded"`.

    Returns:
        `Path`: The stage's folder.
    """
    from ...datasets_scripts.builders.minimal_pairs import render_pairs

    # Nobody has recorded the pairs of a corpus of recordings: they are spoken by the synthetic voices.
    spoken = "many" if voices == RECORDED else voices
    # In one voice there is one rendering of each pair.
    voices_per_pair = arguments.pairs.voices_per_pair if spoken == "many" else 1
    configuration = {
        "voices": spoken,
        "rate": arguments.corpus.rate,
        "seed": arguments.corpus.corpus_seed,
        "voices_per_pair": voices_per_pair,
    }

    def build(folder: Path) -> None:
        pairs = [PairText(**row) for row in pq.read_table(run.pairs_text / PAIRS_FILE).to_pylist()]
        summary = render_pairs(
            pairs,
            folder,
            spoken,
            arguments.corpus.rate,
            arguments.corpus.corpus_seed,
            stretch_factor=read_json(run.utterances() / SUMMARY_FILE)["stretch_factor"],
            voices_per_pair=voices_per_pair,
            num_proc=arguments.run.num_proc or count_cores(),
            max_skipped_fraction=arguments.corpus.max_skipped_fraction,
        )
        write_json(folder / SUMMARY_FILE, summary)

    inputs = {"text": run.pairs_text, "utterances": run.utterances(voices)}
    Stage(run.pairs(voices), 2, configuration, inputs).run(build, arguments.run.overwrite)
    return run.pairs(voices)


def summarize_pairs(run: Run) -> dict:
    """Number of pairs, groups and what was dropped of each task, from the pairs that were spoken."""
    summary = {}
    text, rendered = read_json(run.pairs_text / SUMMARY_FILE), read_json(run.pairs() / SUMMARY_FILE)
    for task, made in text.items():
        shards = sorted((run.pairs() / task).glob("test-*.parquet"))
        tables = [pq.read_table(path, columns=["id", "group"]) for path in shards]
        rows = {row["id"]: row["group"] for table in tables for row in table.to_pylist()}
        summary[task] = {
            "n": len(rows),
            "groups": dict(sorted(Counter(rows.values()).items())),
            "made": made["made"],
            "rendering": rendered.get(task, {}),
            "report": made["report"],
        }
    return summary


def find_blimp(arguments: Arguments) -> str | None:
    """
    Where BLiMP is: what `--blimp` says, else a folder `blimp` beside the texts or recordings, else the Hub.

    Raises:
        `FileNotFoundError`: If `--blimp` looks like a folder and is none.
    """
    given = arguments.pairs.blimp
    if given is not None:
        if not Path(given).is_dir() and (given.count("/") != 1 or given.startswith((".", "/"))):
            raise FileNotFoundError(f"There is no folder {given}; --blimp names a folder of BLiMP's .jsonl files.")
        return given
    for folder in filter(None, (arguments.corpus.text_dir, arguments.corpus.audio_dir)):
        beside = Path(folder).resolve().parent / "blimp"
        if any(beside.glob("*.jsonl")):
            return str(beside)
    return _BLIMP_ON_THE_HUB


def _make_swuggy(arguments: Arguments, run: Run, train: list[Passage]) -> tuple[list[PairText], dict]:
    from ...datasets_scripts.pairs.swuggy import make_swuggy_pairs
    from ...datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
    from ...datasets_scripts.text.words import count_words

    phones = []
    for path in sorted(run.utterances().glob("train-*.parquet")):
        column = pq.read_table(path, columns=["phones"])["phones"].to_pylist()
        phones += [[phone["phone"] for phone in row] for row in column]
    return make_swuggy_pairs(
        count_words(passage.text for passage in train),
        round(arguments.pairs.pairs_per_task / _HEADLINE_SHARE),
        arguments.corpus.corpus_seed,
        EspeakSynthesizer(),
        [passage.text for passage in train],
        phones,
        num_tokens=_piece_counters(arguments, [passage.text for passage in train], phones),
    )


def _piece_counters(arguments: Arguments, texts: list[str], phones: list[list[str]]) -> dict[str, Callable]:
    """Numbers of BPE pieces of a word, so that "fewer pieces" does not give the word away where that can be had."""
    from ...models.tokenizers.by_modality import train_tokenizer

    contents = {"text_bpe": texts, "phone_bpe": [" ".join(row) for row in phones]}
    trained = {
        name: train_tokenizer(name, contents[name], vocab_size=arguments.model.bpe_vocab_size) for name in contents
    }

    def count(name: str, rows: Sequence[str]) -> list[int]:
        return [len(ids) for ids in trained[name](list(rows), add_special_tokens=False)["input_ids"]]

    return {
        "text_bpe": lambda spellings, phone_contents: count("text_bpe", spellings),
        "phone_bpe": lambda spellings, phone_contents: count("phone_bpe", phone_contents),
    }


def _make_sblimp(arguments: Arguments, train: list[Passage], blimp: str | None) -> tuple[list[PairText], dict]:
    pairs, seed = arguments.pairs, arguments.corpus.corpus_seed
    if blimp is None:
        from ...datasets_scripts.pairs.sblimp import generate_sblimp_pairs

        # Mirrored twins are one observation: there are as many twins as there are pairs of another task.
        return generate_sblimp_pairs(2 * pairs.pairs_per_task, seed), {"source": "the stories' own grammar"}
    from ...datasets_scripts.pairs.blimp import make_blimp_pairs
    from ...datasets_scripts.text.words import count_words

    vocabulary = count_words(passage.text for passage in train)
    made, report = make_blimp_pairs(blimp, vocabulary, pairs.pairs_per_task, seed, pairs.blimp_min_count)
    return made, report | {"source": "BLiMP (Warstadt et al. 2020)"}


def _make_topic_sc(arguments: Arguments, held_out: list[Passage]) -> tuple[list[PairText], dict]:
    from ...datasets_scripts.pairs.topic_sc import make_topic_sc_pairs

    return make_topic_sc_pairs(held_out, arguments.pairs.pairs_per_task, arguments.corpus.corpus_seed)


def _describe_blimp(blimp: str) -> str:
    """What BLiMP it is, whatever the path that it lies at."""
    if not Path(blimp).is_dir():
        return blimp
    digest = hashlib.sha256()
    for path in sorted(Path(blimp).glob("*.jsonl")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
