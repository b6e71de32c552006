"""Is a tokenizer of speech lexically stable? One report on quantizers, from recordings with words and speakers.

recordings (`sources.py`) -> a part to fit on, a part to measure on -> units of quantizers by normalisation
(`encoding.py`), as they are, collapsed and in BPE pieces -> measures of words (`models/unit_quality/stability.py`,
`quality.py`) and of phones (`phones.py`, `phone_abx.py`), a row each, and of perturbed sound (`perturbation.py`) ->
`unit_report.json`, and `unit_report.md` with its figure (`page.py`, `phone_page.py`). All quantizers have one encoder,
which hears each recording once to fit, once to measure and once for BPE and the phones of units.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ...models.audio import FRAME_SAMPLES
from ...models.files import write_json, write_json_lines
from ...models.speech_units.runs import collapse_runs
from ...models.statistics import paired_effect
from ...models.unit_quality.stability import (
    ABX_ERRORS,
    DRAWS_PER_WORD,
    WordDraws,
    WordTokens,
    speaker_information,
    token_rates,
    word_stability,
)
from ..external_units.tables import TableUnits
from ..run.environment import describe_versions
from ..run.folder import MODEL_FOLDER, SKIPPED_FILE, Run
from ..run.study_file import open_run
from .encoding import (
    EncodedRecordings,
    add_strangers,
    encode_batch,
    encode_recordings,
    make_quantizers,
    open_quantizer,
    threads_for,
)
from .page import describe_skipped, write_page
from .perturbation import PERTURBATIONS, draw_recordings, measure_perturbations
from .phone_abx import cut_features, find_triphones, measure_phone_abx, why_no_phone_abx
from .phones import measure_phones, on_frames
from .sources import MeasuredRecording, open_recordings

REPORT_FILE = "unit_report.json"
FORMS = ("units", "collapsed", "bpe")
PIECES_PER_UNIT = 5
_CONFUSED_WORDS, _MIN_TOKENS = 10, 5
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # in front of every unit of a BPE piece


@dataclass
class UnitReportArguments:
    """
    Recordings and quantizers to be measured.

    Args:
        run_dir (`str`, *optional*): A run's folder: its utterances are read, and its quantizer is measured.
        source (`str`, *optional*): Instead of a run: a folder of utterance shards, or a CSV file with a row a word and
            the columns `file`, `start`, `end`, `word` and `speaker`.
        quantizer (`str`, *optional*): The folder of a speech-unit model to be measured.
        output_dir (`str`, *optional*): Where the report goes; `<run_dir>/unit_report` when not given.
        num_units (`int`, *optional*, defaults to 100): Clusters of the quantizers that are fitted without one.
        normalizations (`list[str]`, *optional*, defaults to `["none", "speaker"]`): Normalisations to compare.
        perturbations (`list[str]`, *optional*): Perturbations whose unit edit distance is measured; one that cannot be
            made on this machine is named as such.
        perturbed_recordings (`int`, *optional*, defaults to 20): How many recordings are perturbed, drawn by the seed;
            0 for none.
        seed (`int`, *optional*, defaults to 0): Of the halves, of k-means and of all draws.
    """

    run_dir: str | None = None
    source: str | None = None
    quantizer: str | None = None
    output_dir: str | None = None
    num_units: int = field(default=100, metadata={"least": 2})
    normalizations: list[Literal["none", "utterance", "speaker"]] = field(default_factory=lambda: ["none", "speaker"])
    perturbations: list[Literal[tuple(PERTURBATIONS)]] = field(default_factory=lambda: list(PERTURBATIONS))
    perturbed_recordings: int = field(default=20, metadata={"least": 0})
    seed: int = 0


def report_units(arguments: UnitReportArguments) -> Path:
    """
    `evoslm unit-report`: [`build_unit_report`] of a run or of other recordings.

    Args:
        arguments ([`UnitReportArguments`]): Of the command.

    Returns:
        `Path`: The report's folder.

    Raises:
        `FileNotFoundError`: If the folder is no run, or the run has no units of frames.
        `ValueError`: If neither a run nor a source with an output folder is given.
    """
    source, quantizer, output_dir = arguments.source, arguments.quantizer, arguments.output_dir
    if arguments.run_dir is not None:
        run = open_run(arguments.run_dir)
        source, output_dir = source or run.utterances(), output_dir or run.folder / "unit_report"
        quantizer = quantizer or _own_quantizer(run)
    if source is None or output_dir is None:
        raise ValueError("Give a finished run (`evoslm unit-report RUN`), or both --source and --output_dir.")
    report = build_unit_report(
        source,
        output_dir,
        quantizer,
        num_units=arguments.num_units,
        normalizations=arguments.normalizations,
        perturbations=arguments.perturbations,
        perturbed_recordings=arguments.perturbed_recordings,
        seed=arguments.seed,
    )
    if skipped := report["measured"]["skipped"]:
        print(f"{describe_skipped(skipped)} {Path(output_dir) / SKIPPED_FILE} says why.")
    for sentence in report["left_out"]:
        print(sentence)
    print(f"The report is {Path(output_dir) / 'unit_report.md'}.")
    return Path(output_dir)


def _own_quantizer(run: Run) -> Path:
    own = run.units() / MODEL_FOLDER
    if own.is_dir():
        return own
    others = sorted(map(str, run.folder.glob(f"units/*/{MODEL_FOLDER}")))
    there = f"no units of frames, only {', '.join(others)}" if others else "no units"
    raise FileNotFoundError(
        f"{run.folder} has {there}; give the quantizer to be measured by --quantizer, or let new ones be fitted by "
        f"--source {run.utterances()} and --output_dir instead of the run."
    )


def build_unit_report(
    source: str | Path,
    output_dir: str | Path,
    quantizer: str | Path | None = None,
    num_units: int = 100,
    normalizations: Sequence[str] = ("none", "speaker"),
    bpe_vocab_size: int | None = None,
    splits: Sequence[str] | None = None,
    max_frames: int | None = None,
    draws_per_word: int = DRAWS_PER_WORD,
    perturbations: Sequence[str] | None = None,
    perturbed_recordings: int = 20,
    seed: int = 0,
) -> dict:
    """
    Measure quantizers on recordings of words by several speakers and write `unit_report.md`, `unit_report.json` and a
    figure.

    Every quantizer is measured with its units as they are (those of syllables that it finds in the sound once a
    frame), collapsed (a run of equal units is one), and in BPE pieces over collapsed units (2310.08715, Section 3). A
    word is cut out of the running units by its times; in BPE it is all pieces that have a frame of it, for that is
    what a language model reads. Words that are spelled alike are one word, whatever they mean; words that only sound
    alike are two.

    Args:
        source (`str` or `Path`): A folder of utterance shards; or a CSV file with a row a word and the columns `file`
            (relative to the CSV file), `start`, `end` (seconds), `word` and `speaker`. A file has one speaker; one
            that cannot be read, is cut off or holds no samples is left out and named in `skipped.jsonl`.
        output_dir (`str` or `Path`): Where the report goes.
        quantizer (`str` or `Path`, *optional*): The folder of a speech-unit model. It is measured as it is; for the
            other normalisations quantizers with as many units are fitted on its encoder. Without it, all are, on MFCC.
        num_units (`int`, *optional*, defaults to 100): Number of clusters K of the quantizers that are fitted here.
        normalizations (`Sequence[str]`, *optional*): `"none"`, `"utterance"`, `"speaker"`: see [`SpeechUnitConfig`].
            That by speaker is left out where somebody is too short to be measured and there is another.
        bpe_vocab_size (`int`, *optional*): Size of the BPE vocabulary; 0 leaves BPE out. By default five times K, and
            BPE is left out where the recordings are too few for that.
        splits (`Sequence[str]`, *optional*): Splits of the shards that are measured; the others are fitted on. By
            default half of the documents of all splits are measured and the other half is fitted on.
        max_frames (`int`, *optional*): As in [`fit_units`].
        draws_per_word (`int`, *optional*, defaults to 50): As in [`word_stability`].
        perturbations (`Sequence[str]`, *optional*): Some of [`PERTURBATIONS`]; all by default.
        perturbed_recordings (`int`, *optional*, defaults to 20): How many of the measured recordings are perturbed; 0
            for none.
        seed (`int`, *optional*, defaults to 0): Of the halves, of k-means and of all draws.

    Returns:
        `dict`: What is in `unit_report.json`: `measured` (what was measured, and what was `skipped`), `left_out` (a
        sentence on each normalisation or form that could not be measured), `settings`, `rows`, `effects` (what each
        step changes, paired by word or recording), `confused_words` (those that are most often nearer to another word,
        by the first row), `phone_abx` (see [`measure_phone_abx`]; no rows and `not_measured`, the reason, where there
        is none), `perturbations` (see [`measure_perturbations`]) and `versions`.

    Raises:
        `FileNotFoundError`: If there is no such source, quantizer or recording.
        `ValueError`: If a column is missing, there is too little to halve or to fit on, or a speaker is unknown to
            the only quantizer, or to the given one, and too short to be measured.
    """
    given = None if quantizer is None else open_quantizer(quantizer)
    recordings = open_recordings(Path(source), splits, given.config.hop_length if given else FRAME_SAMPLES)
    fitted_on, measured_on = _halve(recordings.documents, splits, seed)
    num_units = given.config.num_units if given else num_units
    vocab_size = PIECES_PER_UNIT * num_units if bpe_vocab_size is None else bpe_vocab_size
    with threads_for(given):
        models = make_quantizers(given, recordings.read(fitted_on), num_units, normalizations, max_frames, seed)
        too_short = add_strangers(models, given, recordings.read, measured_on)
        measured = encode_recordings(models, recordings.read(measured_on))
        # Without phones only BPE is learned from them.
        learned_from = recordings.read(fitted_on) if vocab_size or all(measured.phones) else ()
        fitted = encode_recordings(models, learned_from)
        phone_abx = _phone_abx(models, recordings.read(measured_on), measured, seed)
        drawn = draw_recordings(recordings.read(measured_on), len(measured.speakers), perturbed_recordings, seed)
        encode = None if isinstance(given, TableUnits) else partial(encode_batch, models)
        chosen = {name: PERTURBATIONS[name] for name in perturbations or PERTURBATIONS}
        perturbed = measure_perturbations(drawn, encode, chosen, seed)
    # The same tokens for every quantizer, and so the same comparisons.
    draws, rows = _draw(measured, draws_per_word, seed), []
    left_out = [f"The quantizer normalised by speaker was left out: {too_short}"] if too_short else []
    for normalization in models:
        tokenizer = _train_bpe(fitted.units[normalization], num_units, vocab_size, bpe_vocab_size is not None)
        if vocab_size and tokenizer is None:
            left_out.append(
                f"BPE pieces of units with normalisation {normalization} were left out: no {vocab_size} of them can "
                "be learned from these recordings."
            )
        for form in FORMS if tokenizer else FORMS[:2]:
            label = {"normalization": normalization, "form": form}
            rows.append(label | _measure(measured, fitted, normalization, num_units, form, tokenizer, draws, seed))
    report = {
        "measured": _describe(measured) | {"skipped": recordings.skipped},
        "left_out": left_out,
        "settings": {
            "num_units": num_units,
            "frame_rate": measured.frame_rate,
            "quantizer": "given" if quantizer is not None else "fitted here",
            "splits": None if splits is None else list(splits),
            "draws_per_word": draws_per_word,
            "seed": seed,
        },
        "rows": rows,
        "effects": _effects(rows, measured.documents, seed),
        "confused_words": _confused_words(rows[0], measured),
        "phone_abx": phone_abx,
        "perturbations": perturbed,
        "versions": describe_versions(),
    }
    report = _plain(report)
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / REPORT_FILE, report)
    write_json_lines(folder / SKIPPED_FILE, recordings.skipped)
    write_page(report, folder)
    return report


def _halve(documents: dict[str, str], splits: Sequence[str] | None, seed: int) -> tuple[set[str], set[str]]:
    """The documents that are fitted on, and those that are measured."""
    if splits is not None:
        if unknown := sorted(set(splits) - set(documents.values())):
            raise ValueError(
                f"There is no split {unknown[0]!r} to be measured; there are {_list(documents.values())}."
            )
        measured = {document for document, split in documents.items() if split in splits}
    else:
        names = sorted(documents)
        measured = set(random.Random(seed).sample(names, len(names) // 2))
    fitted = set(documents) - measured
    if not fitted or not measured:
        raise ValueError(
            f"There is nothing to {'fit on' if measured else 'measure'} among {len(documents)} documents; give more "
            "recordings or other splits."
        )
    return fitted, measured


def _phone_abx(
    models: dict, batches: Iterable[list[MeasuredRecording]], measured: EncodedRecordings, seed: int
) -> dict:
    """ABX of phones, or why there is none."""
    if reason := why_no_phone_abx(measured):
        return {"rows": [], "not_measured": reason}
    triphones = find_triphones(measured, seed)
    return measure_phone_abx(triphones, measured.units, cut_features(models, batches, triphones), seed)


def _draw(measured: EncodedRecordings, draws_per_word: int, seed: int) -> WordDraws:
    if not measured.tokens:
        raise ValueError("The recordings that are measured have no words with times; give some that do.")
    speakers = [measured.speakers[token.recording] for token in measured.tokens]
    return WordDraws([token.word for token in measured.tokens], speakers, draws_per_word, seed)


def _train_bpe(encoded: list[np.ndarray], num_units: int, vocab_size: int, is_asked: bool):
    """What makes BPE pieces of collapsed units; `None` where none are wanted, or the default are too many."""
    from ...models.tokenizers.units import train_units_bpe

    if not vocab_size:
        return None
    try:
        return train_units_bpe((" ".join(map(str, collapse_runs(units))) for units in encoded), num_units, vocab_size)
    except ValueError:
        if is_asked:
            raise
        return None


def _measure(
    measured: EncodedRecordings,
    fitted: EncodedRecordings,
    normalization: str,
    num_units: int,
    form: str,
    tokenizer,
    draws: WordDraws,
    seed: int,
) -> dict:
    """One row: how stable the words are, what the units say of phones and speakers, and what they cost."""
    from ...models.unit_quality import unit_quality

    rate, encoded = measured.frame_rate, measured.units[normalization]
    pieces = [_pieces(units, form, tokenizer) for units in encoded]
    words = [
        (token.word, measured.speakers[token.recording], _cut(*pieces[token.recording], token.first, token.last))
        for token in measured.tokens
    ]
    sequences = [ids for ids, _ in pieces]
    vocab_size = len(tokenizer) if form == "bpe" else num_units
    row = {"vocab_size": vocab_size} | word_stability(WordTokens(*map(list, zip(*words))), draws, seed)
    row["speaker_probe"] = speaker_information(sequences, measured.speakers, measured.documents, seed)
    row |= token_rates(sequences, sum(map(len, encoded)) / rate, vocab_size)
    if all(measured.phones):
        frames = [on_frames(*cut, len(units)) for cut, units in zip(pieces, encoded)]
        quality = unit_quality(frames, measured.phones, rate, vocab_size)
        row |= {name: quality[name] for name in ("pnmi", "pnmi_bias", "phone_purity", "cluster_purity")}
        # Runs of equal units have the phones and the boundaries of the units.
        cut = partial(_pieces, form=form if form == "bpe" else "collapsed", tokenizer=tokenizer)
        row |= measure_phones(fitted, measured, normalization, cut, vocab_size, seed) if form != "collapsed" else {}
    return row


def _effects(rows: list[dict], documents: list[str], seed: int) -> list[dict]:
    """What each row changes: a form against its quantizer's units, a quantizer's units against those of the first."""
    effects = []
    for index, row in enumerate(rows):
        base = 0 if row["form"] == "units" else index - FORMS.index(row["form"])
        if base == index:
            continue
        for name in ("same_word_other_speaker", *ABX_ERRORS, "speaker_probe"):
            kept, clusters = ("correct", documents) if name == "speaker_probe" else ("by_word", None)
            old, new = (
                list(values.values()) if isinstance(values := side[name][kept], dict) else values
                for side in (rows[base], row)
            )
            if old:
                effect = paired_effect(old, new, clusters, seed)
                change = {key: effect[key] for key in ("points", "points_low", "points_high")}
                effects.append({"from_row": base, "to_row": index, "measure": name} | change)
    return effects


def _confused_words(row: dict, measured: EncodedRecordings) -> list[str]:
    """The words that are most often nearer to another one, of those that are said often enough to say so."""
    said = Counter(measured.words)
    by_word = row["abx_across_speaker"]["by_word"]
    confused = [word for word in by_word if by_word[word] and said[word] >= _MIN_TOKENS]
    return sorted(confused, key=lambda word: -by_word[word])[:_CONFUSED_WORDS]


def _pieces(units: np.ndarray, form: str, tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of an utterance, and the frame that each begins at."""
    if form == "units":
        return units, np.arange(len(units))
    starts = np.flatnonzero(np.diff(units, prepend=-1))
    if form == "collapsed":
        return units[starts], starts
    ids = tokenizer(" ".join(map(str, units[starts])), add_special_tokens=False)["input_ids"]
    lengths = [token.count(_SPACE) for token in tokenizer.convert_ids_to_tokens(ids)]
    return np.array(ids, np.int64), starts[np.cumsum([0, *lengths])[:-1]]


def _cut(ids: np.ndarray, starts: np.ndarray, first: int, last: int) -> list[int]:
    """The tokens that have one of the frames from the first to the last."""
    low = int(np.searchsorted(starts, first, side="right")) - 1
    return ids[low : int(np.searchsorted(starts, last, side="right"))].tolist()


def _describe(measured: EncodedRecordings) -> dict:
    frames = sum(map(len, next(iter(measured.units.values()))))
    return {
        "recordings": len(measured.speakers),
        "documents": len(set(measured.documents)),
        "seconds": frames / measured.frame_rate,
        "speakers": len(set(measured.speakers)),
        "words": len(set(measured.words)),
        "word_tokens": len(measured.words),
    }


def _list(names) -> str:
    return ", ".join(sorted(set(names)))


def _plain(value):
    """The value as JSON can hold it: no NaN, and not the outcomes that the figures are made of."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items() if key not in ("by_word", "correct")}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
