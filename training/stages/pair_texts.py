"""The text of the minimal pairs: word counts, grammar frames or BLiMP, held-out passages -> `PairText` of every task.

passages + utterances -> a maker a task -> `pairs.parquet`, `overlap.parquet` (what the sides of pairs with contexts
share with them) and `summary.json`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...datasets_scripts.pairs.texts import PairText
from ...datasets_scripts.pairs.topics.context_overlap import ContextOverlap
from ...datasets_scripts.shards.reading import ReadAnew
from ...datasets_scripts.stories.simple.generation import without_headword
from ...datasets_scripts.text.passages import Passage, read_passages
from ...datasets_scripts.text.words import words_of
from ...models.files import write_json
from ...models.hub_commit import find_commit
from ..run.execution import Execution
from ..run.folder import HELD_OUT_FILE, OVERLAP_FILE, PAIRS_FILE, PASSAGES_FILE, SUMMARY_FILE
from ..run.stage import Stage
from .text import describe_lexicon

if TYPE_CHECKING:
    from ...datasets_scripts.pairs.swuggy_candidates import Pieces

_BLIMP_ON_THE_HUB = "nyu-mll/blimp"


@dataclass(frozen=True)
class PairTextSettings:
    """
    Which minimal pairs are made.

    Args:
        pairs_per_task (`int`): How many a task.
        corpus_seed (`int`): Seed of their choice.
        bpe_vocab_size (`int`): Pieces of the BPE tokenizers that must not give sWUGGY's words away.
        stories (`str`, *optional*): The language of the stories, where the corpus is generated.
        lexicon (`str`, *optional*): The file of its words and sentences, if it is not the package's.
        blimp (`str`, *optional*): BLiMP's folder or Hub id; without it sBLIMP is made of the stories' own grammar.
        blimp_min_count (`int`, *optional*, defaults to 1): Occurrences that a word of BLiMP needs in training.
        may_lack_tasks (`bool`, *optional*, defaults to `False`): Whether a task of which no pairs can be made is left
            out, with the reason: recordings are few and say what they say.
    """

    pairs_per_task: int
    corpus_seed: int
    bpe_vocab_size: int
    stories: str | None = None
    lexicon: str | None = None
    blimp: str | None = None
    blimp_min_count: int = 1
    may_lack_tasks: bool = False

    def describe(self) -> dict:
        """All of it, wherever BLiMP lies, and the commit of the Hub's: part of the stage's fingerprint."""
        described = asdict(self) | {"lexicon": describe_lexicon(self.lexicon)}
        if self.blimp is None:
            del described["blimp_min_count"]
        elif Path(self.blimp).is_dir():
            digest = hashlib.sha256()
            for path in sorted(Path(self.blimp).glob("*.jsonl")):
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
            described["blimp"] = digest.hexdigest()[:16]
        else:
            try:
                described["blimp_revision"] = find_commit(self.blimp)
            except FileNotFoundError as error:
                raise FileNotFoundError(
                    f"BLiMP cannot be loaded from the Hub as {self.blimp!r} ({error}); --blimp takes the folder of "
                    "its .jsonl files, too."
                ) from error
        return described


def build_pair_texts(
    folder: Path, passages: Path, utterances: Path, settings: PairTextSettings, execution: Execution
) -> None:
    """
    Build the text of the minimal pairs.

    Args:
        folder (`Path`): Where to.
        passages (`Path`): The text stage.
        utterances (`Path`): The speech stage, whose phones sWUGGY's n-grams are trained on.
        settings ([`PairTextSettings`]): Which pairs are made.
        execution ([`Execution`]): How it is done.

    Raises:
        `ValueError`: If no pairs of a task can be made, or of any where tasks may be lacking.
    """

    described = settings.describe()

    def build(partial: Path) -> None:
        material = _Material(passages, utterances, settings, described.get("blimp_revision"))
        pairs, summary = [], {}
        for task, make in _MAKERS.items():
            try:
                made, report = make(material)
            except ValueError as error:
                if not settings.may_lack_tasks:
                    raise
                made, report = [], {"left_out": str(error)}
            pairs += made
            summary[task] = {"made": len(made), "report": report | _count_seen(made, material.train)}
        if not pairs:
            why = next(iter(summary.values()))["report"]["left_out"]
            raise ValueError(f"No minimal pairs can be made of these recordings; {why}")
        pq.write_table(pa.Table.from_pylist([asdict(pair) for pair in pairs]), partial / PAIRS_FILE)
        with_context = [pair for pair in pairs if pair.context]
        overlap = material.overlap.score_pairs(with_context)
        pq.write_table(pa.table({"pair_id": [pair.id for pair in with_context]} | overlap), partial / OVERLAP_FILE)
        write_json(partial / SUMMARY_FILE, summary)

    inputs = {"passages": passages, "utterances": utterances}
    packages = ("wordfreq", "espeakng-loader", "sentencepiece", "num2words")
    Stage(folder, 8, described, inputs, packages).run(build, execution.overwrite)


def find_blimp(given: str | None, beside: Sequence[str | None]) -> str:
    """
    Where BLiMP is: what was asked for, else a folder `blimp` beside the texts or recordings, else the Hub.

    Args:
        given (`str`, *optional*): A folder or a Hub id.
        beside (`Sequence[str]`): Folders of the corpus.

    Raises:
        `FileNotFoundError`: If what is given looks like a folder and is none.
    """
    if given is not None:
        if not Path(given).is_dir() and (given.count("/") != 1 or given.startswith((".", "/"))):
            raise FileNotFoundError(f"There is no folder {given}; --blimp names a folder of BLiMP's .jsonl files.")
        return given
    for folder in filter(None, beside):
        candidate = Path(folder).resolve().parent / "blimp"
        if any(candidate.glob("*.jsonl")):
            return str(candidate)
    return _BLIMP_ON_THE_HUB


@dataclass(frozen=True)
class _Material:
    """What the makers of pairs read, each part of it once."""

    passages: Path
    utterances: Path
    settings: PairTextSettings
    blimp_revision: str | None = None

    @property
    def train(self) -> Iterable[Passage]:
        """Passages of the training split, read anew each time."""
        return read_passages(self.passages / PASSAGES_FILE, "train")

    @property
    def texts(self) -> ReadAnew[str]:
        """Their texts."""
        return ReadAnew(lambda: (passage.text for passage in self.train))

    @cached_property
    def held_out(self) -> list[Passage]:
        """Passages that no split holds."""
        return list(read_passages(self.passages / HELD_OUT_FILE))

    @cached_property
    def overlap(self) -> ContextOverlap:
        """What texts have in common, in the eyes of who knows the training split."""
        from ...datasets_scripts.synthesis.synthesizer import EspeakSynthesizer

        return ContextOverlap(self.texts, EspeakSynthesizer())

    @property
    def phones(self) -> ReadAnew[list[str]]:
        """Phones of the training utterances, shard by shard."""
        return ReadAnew(self._read_phones)

    def _read_phones(self) -> Iterator[list[str]]:
        for path in sorted(self.utterances.glob("train-*.parquet")):
            rows = pq.read_table(path, columns=["phones"])["phones"].combine_chunks()
            phones, ends = rows.flatten().field("phone").to_pylist(), np.cumsum(pc.list_value_length(rows))
            for start, end in pairwise([0, *ends.tolist()]):
                yield phones[start:end]


def _count_seen(pairs: Sequence[PairText], train: Iterable[Passage]) -> dict:
    """How many of the pairs' sentences, contexts and endings are sentences of one passage of the training split."""
    sides = "endings" if any(pair.context for pair in pairs) else "sentences"
    asked = {sides: {side for pair in pairs for side in (pair.positive, pair.negative) if len(words_of(side)) > 1}}
    asked["contexts"] = {pair.context for pair in pairs if pair.context}
    wanted = {_in_words(text) for texts in asked.values() for text in texts}
    if not wanted:  # words are asked about because training has them
        return {}
    seen = _seen_in(train, wanted)
    counts = {
        name: {"asked": len(texts), "in_training": sum(_in_words(text) in seen for text in texts)}
        for name, texts in asked.items()
        if texts
    }
    return {"seen": counts}


def _seen_in(passages: Iterable[Passage], wanted: Set[str]) -> set[str]:
    """Which of the texts, in small letters and without marks, are sentences of one passage behind one another."""
    seen = set()
    for passage in passages:
        words = [_in_words(sentence) for sentence in passage.sentences]
        runs = (" ".join(words[start:end]) for start, end in combinations(range(len(words) + 1), 2))
        seen.update(wanted.intersection(runs))
    return seen


def _in_words(text: str) -> str:
    return " ".join(words_of(without_headword(text).lower()))


def _make_swuggy(material: _Material) -> tuple[list[PairText], dict]:
    from ...datasets_scripts.pairs.swuggy import LONG_TAIL, SMALL_WORLD, make_swuggy_pairs
    from ...datasets_scripts.synthesis.synthesizer import EspeakSynthesizer
    from ...datasets_scripts.text.words import count_words

    choice = SMALL_WORLD if material.settings.stories == "simple" else LONG_TAIL
    settings, texts = material.settings, material.texts
    return make_swuggy_pairs(
        count_words(texts),
        round(settings.pairs_per_task / choice.headline_share),
        settings.corpus_seed,
        EspeakSynthesizer(),
        texts,
        material.phones,
        tokenizers=_train_bpe(settings.bpe_vocab_size, texts, material.phones),
        choice=choice,
    )


def _train_bpe(vocab_size: int, texts: Iterable[str], phones: Iterable[list[str]]) -> dict[str, "Pieces"]:
    """The BPE tokenizers of the text modalities, so that pieces do not give a word away where that can be had."""
    from ...datasets_scripts.pairs.swuggy_candidates import Pieces
    from ...models.tokenizers import train_tokenizer

    def train(name: str, contents: Iterable[str], of_phones: bool) -> Pieces:
        tokenizer = train_tokenizer(name, contents, vocab_size=vocab_size)
        return Pieces(
            lambda rows: tokenizer(rows, add_special_tokens=False)["input_ids"], len(tokenizer), of_phones=of_phones
        )

    return {
        "text_bpe": train("text_bpe", texts, of_phones=False),
        "phone_bpe": train("phone_bpe", map(" ".join, phones), of_phones=True),
    }


def _make_sblimp(material: _Material) -> tuple[list[PairText], dict]:
    settings = material.settings
    if settings.stories == "simple":
        from ...datasets_scripts.pairs.sblimp_ladder import make_ladder_pairs
        from ...datasets_scripts.stories.simple.language import load_language

        # A headword must not hide that training has the sentence behind it.
        sentences = (without_headword(sentence) for passage in material.train for sentence in passage.sentences)
        pairs, report = make_ladder_pairs(
            2 * settings.pairs_per_task, settings.corpus_seed, sentences, load_language(settings.lexicon)
        )
        return pairs, report | {"source": "the stories' own grammar"}
    if settings.blimp is None:
        from ...datasets_scripts.pairs.sblimp import generate_sblimp_pairs

        # Mirrored twins are one observation: there are as many twins as there are pairs of another task.
        pairs = generate_sblimp_pairs(2 * settings.pairs_per_task, settings.corpus_seed)
        return pairs, {"source": "the stories' own grammar"}
    from ...datasets_scripts.pairs.blimp import make_blimp_pairs
    from ...datasets_scripts.text.words import count_words

    made, report = make_blimp_pairs(
        settings.blimp,
        count_words(passage.text for passage in material.train),
        settings.pairs_per_task,
        settings.corpus_seed,
        settings.blimp_min_count,
        revision=material.blimp_revision,
    )
    return made, report | {"source": "BLiMP (Warstadt et al. 2020)"}


def _make_topic_sc(material: _Material) -> tuple[list[PairText], dict]:
    from ...datasets_scripts.pairs.topics.topic_sc import make_topic_sc_pairs

    settings, held_out = material.settings, material.held_out
    endings = [_in_words(passage.sentences[-1]) for passage in held_out]
    # In a small world the same is soon said again, and what training has said is no longer asked for.
    seen = _seen_in(material.train, set(endings))
    unseen = [passage for passage, ending in zip(held_out, endings) if ending not in seen]
    pairs, report = make_topic_sc_pairs(unseen, settings.pairs_per_task, settings.corpus_seed, material.overlap)
    if len(unseen) < len(held_out):
        report["dropped"]["the ending occurs in training"] = len(held_out) - len(unseen)
    return pairs, report


_MAKERS = {"swuggy": _make_swuggy, "sblimp": _make_sblimp, "topic_sc": _make_topic_sc}
"""What makes the pairs of each task; a new task is named here and in `metrics/tasks.py`."""
