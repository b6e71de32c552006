"""How often a model prefers the right side of a minimal pair: what the pair metrics have in common.

log-likelihoods, given or computed from a model and rows of pairs -> arguments -> `judging.py` -> accuracies.

The folders of the metrics hold links to this file, because the Hub loads each folder by itself.
"""

import codecs
import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from .judging import SIDES, check_lengths, read_numbers, read_token_counts
from .tasks import Task

OPTIONAL = ("groups", "unconditional", "cluster_ids", "ids", "bands")
SCORING_OPTIONS = ("modality", "batch_tokens", "device", "save_dir", "long_sequences")

FEATURES = datasets.Features(
    {
        "predictions": {side: datasets.Value("float64") for side in SIDES},
        "references": {f"{side}_tokens": datasets.Value("int64") for side in SIDES},
    }
)

ARGUMENTS = """
Args:
    predictions (`list` of `dict`): `positive` and `negative`, the log-likelihoods of the two sides of each pair in
        nats, summed over tokens.
    references (`list` of `dict`): `positive_tokens` and `negative_tokens`, how many tokens these sums are over.
    groups (`list` of `str`, *optional*): A label for each pair, such as its phenomenon; accuracies are then also given
        by group.
    unconditional (`list` of `dict`, *optional*): `positive` and `negative` like the predictions, but without the
        context; the accuracy by pointwise mutual information (PMI) needs them.
    cluster_ids (`list`, *optional*): What the pair of each prediction stays together with when the bootstrap draws,
        such as a pair and its mirrored twin. Intervals depend on it, and no accuracy does. By default pairs are drawn.
    seed (`int`, *optional*, defaults to 0): Of the bootstrap.
    ids (`list`, *optional*): The pair of each prediction, one name for all its voices, which are averaged; by default
        each prediction is a pair, named by its place from 0 on.
    bands (`list` of `str`, *optional*): The band of each pair, such as `"6-20"`. Where all of them are bands of this
        task's own sets, the accuracies are over its headline bands, if there are any; those of a published set
        count all pairs. Groups are always over all pairs.
    return_outcomes (`bool`, *optional*, defaults to `False`): Whether the result has the `outcomes` of the pairs, so
        that two models can be compared on the same ones.
    model_id (`str`, *optional*): Instead of predictions and references: a causal language model to be scored, from the
        Hub or a folder, together with its tokenizer.
    pairs (*optional*): With `model_id`: rows of minimal pairs; a .parquet, .jsonl or .csv file of them; a folder of
        such files (of its `test` ones only, if it has any); or the id of a dataset on the Hub. Rows have
        `positive_{modality}`, `negative_{modality}` and perhaps `context_{modality}`, `id`, `cluster`, `group`, `band`
        and `task`.
    modality (`str`, *optional*): With `model_id`: what the model reads, `"text"`, `"phones"`, `"phones_stretch"`,
        `"phones_repeat"` or `"units"`.
    batch_tokens (`int`, *optional*): With `model_id`: most positions in one forward pass.
    device (`str`, *optional*): With `model_id`: where the model runs; by default on a GPU if there is one.
    save_dir (`str`, *optional*): With `model_id` and `evoslm` installed: a folder that keeps log-likelihoods as they
        are made, so that the same call goes on where one was stopped.
    long_sequences (`str`, *optional*): With `model_id` and `evoslm` installed: `"slide"` scores pairs that are longer
        than the model's window in overlapping pieces; by default they are an error.

Returns:
    `dict`:
    - `headline` (`str`), the rule that is this metric's headline, and `accuracy`, `ci_low` and `ci_high` by it;
    - `accuracy_sum`, `accuracy_mean` (per token) and, with `unconditional`, `accuracy_pmi`: the share of pairs whose
      positive side scores higher, ties counting half, between 0 and 1;
      The voices of a pair are averaged, then the pairs;
    - `ci_low_sum`, `ci_high_sum` and so on: the 95 % bootstrap interval over clusters of pairs (items only: how much
      trainings with other seeds would differ is not in it);
    - `accuracy_fewer_tokens`: the accuracy of always choosing the side with fewer tokens;
    - `n_pairs` (also as `n`) and `n_clusters`, how many pairs and clusters that is over;
    - `bands`, with `bands`: those that were counted;
    - `groups`, with `groups`: the accuracies, `n_pairs` (also as `n`) and `n_clusters` of each group;
    - `outcomes`, with `return_outcomes`: a `dict` a prediction, in order: `id`, and where they are given `cluster`,
      `group` and `band`; `correct_sum`, `correct_mean`, `correct_pmi` and `correct_fewer_tokens`, 1 (right), 0.5
      (tie) or 0; and `margin_sum`, `margin_mean`, `margin_pmi`, positive minus negative side in nats (a token, for the
      mean); and `counted`, whether the accuracies are over it.

"""


class PairAccuracy:
    """
    Mixed into an `evaluate.Metric`: judges given log-likelihoods, or scores a model by itself.

    A metric sets its `task`, `judge`, which makes accuracies of log-likelihoods, `reference_scorer`, which scores
    pairs where `evoslm` is not installed, and `paired_effect`, which compares two models' outcomes. It imports them
    itself: `evaluate` copies only the modules that the metric's own file names.
    """

    task: Task
    judge = None
    reference_scorer = None
    paired_effect = None

    def compute(self, *, predictions=None, references=None, model_id=None, pairs=None, **kwargs):
        """Compute the metric, from `predictions` and `references`, or by itself from `model_id` and `pairs`.

        `evaluate` makes every declared feature mandatory, so a model is scored here, before it looks at its features.
        """
        if model_id is not None or pairs is not None:
            if predictions is not None or references is not None:
                raise ValueError("Give predictions and references, or model_id and pairs, but not both.")
            if model_id is None or pairs is None or kwargs.get("modality") is None:
                raise ValueError("To score a model give model_id, pairs and modality, all three.")
            options = {name: kwargs.pop(name) for name in SCORING_OPTIONS if name in kwargs}
            scored = judge_arguments(self._score(model_id, pairs, **options))
            predictions, references = scored.pop("predictions"), scored.pop("references")
            kwargs = scored | kwargs
        elif predictions is None and references is None and self.writer is None:
            raise ValueError("There is nothing to judge: give predictions and references, or model_id and pairs.")
        elif predictions is not None:
            # Before `evaluate` stores them: an error later on would leave a locked file behind.
            check_lengths(predictions, references, **{name: kwargs.get(name) for name in OPTIONAL})
            read_numbers(predictions, SIDES, "prediction")
            read_token_counts(references)
        return super().compute(predictions=predictions, references=references, **kwargs)

    @staticmethod
    def judge_arguments(rows: Iterable[Mapping]) -> dict[str, list]:
        """Scored rows as the arguments of `compute`, see the function of this name."""
        return judge_arguments(rows)

    def _compute(self, predictions, references, **options):
        return type(self).judge(predictions, references, headline=self.task.rule, task=self.task, **options)

    def _score(self, model_id, pairs, modality, device=None, **options) -> list[dict]:
        """The rows of the metric's own task, with their scores."""
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise ValueError(
                "Scoring a model needs torch and transformers: pip install torch transformers."
            ) from error
        rows = read_pairs(pairs, modality, self.task.name)
        check_pairs(rows, modality)
        if self.task.needs_context and not all(row.get(f"context_{modality}") for row in rows):
            raise ValueError(
                f"Pairs of {self.task.name} need a context: fill the column 'context_{modality}' of every row."
            )
        model = AutoModelForCausalLM.from_pretrained(model_id, dtype=torch.float32, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(model_id)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            from evoslm.models.scoring import score_pairs
        except ImportError:
            for name in ("save_dir", "long_sequences"):
                if options.get(name) is not None:
                    raise ValueError(f"{name} needs the package evoslm, which is not installed.") from None
            scores = type(self).reference_scorer(model, tokenizer, rows, modality, device=device)
        else:
            scores = score_pairs(model, tokenizer, rows, modality, device=device, progress=True, **options)
        return [row | score for row, score in zip(rows, scores)]


def judge_arguments(rows: Iterable[Mapping]) -> dict[str, list]:
    """
    Scored rows as the arguments of `compute`.

    Args:
        rows (`Iterable[Mapping]`): Rows with `positive`, `negative`, `positive_tokens` and `negative_tokens`, and
            perhaps `positive_unconditional` and `negative_unconditional` (missing or NaN without a context), `group`,
            `cluster`, `pair_id` or `id`, and `band`. A `rate` without a value marks pairs that somebody else recorded,
            whose bands are not those of a task.

    Returns:
        `dict`: `predictions`, `references`, and those of `unconditional`, `groups`, `cluster_ids`, `ids` and `bands`
            that there are.
    """
    rows = list(rows)
    alone = [f"{side}_unconditional" for side in SIDES]
    arguments = {
        "predictions": [{side: row[side] for side in SIDES} for row in rows],
        "references": [{f"{side}_tokens": row[f"{side}_tokens"] for side in SIDES} for row in rows],
    }
    if rows and all(row.get(key) is not None and not math.isnan(row[key]) for row in rows for key in alone):
        arguments["unconditional"] = [{side: row[f"{side}_unconditional"] for side in SIDES} for row in rows]
    if rows and all(row.get("group") for row in rows):
        arguments["groups"] = [row["group"] for row in rows]
    arguments |= _labels(rows)
    recorded = rows and all("rate" in row and not _is_given(row["rate"]) for row in rows)
    if not recorded and any(_is_given(row.get("band")) for row in rows):
        arguments["bands"] = [row["band"] if _is_given(row.get("band")) else "" for row in rows]
    return arguments


def check_pairs(rows: Iterable[Mapping], modality: str | None) -> None:
    """
    Refuse pairs that could be scored, but not judged: rows with one `id` are the voices of one pair.

    Args:
        rows (`Iterable[Mapping]`): Pairs as [`read_pairs`] gives them, of one task or several.
        modality (`str`): The form that is to be scored; with `None` columns are called `positive` and so on.

    Raises:
        `ValueError`: If rows with one id differ in their cluster or group, or in what the same voice says.
    """
    by_task: dict[str, list[Mapping]] = {}
    for row in rows:
        by_task.setdefault(str(row.get("task")), []).append(row)
    for own in by_task.values():
        labels, found = _labels(own), {}
        for row, name, cluster in zip(own, labels.get("ids", ()), labels.get("cluster_ids", ())):
            group = row["group"] if _is_given(row.get("group")) else None
            contents = [row.get(column) for column in _columns(modality)]
            for what, where, value in (
                ("cluster", str(name), str(cluster)),
                ("group", str(name), group),
                ("content in the same voice", (str(name), row.get("voice"), row.get("rate")), contents),
            ):
                if found.setdefault((what, where), value) != value:
                    raise ValueError(
                        f"Rows with the id {name!r} differ in their {what}, but rows with one id are one pair in "
                        "several voices; give two pairs two ids."
                    )


def read_pairs(pairs, modality: str | None, task: str | None = None) -> list[dict]:
    """
    Rows of minimal pairs in one form, and of one task where rows name theirs.

    Args:
        pairs (`str`, `Path` or `Iterable[Mapping]`): Rows, such as a list or a `datasets.Dataset`; several splits of
            them, of which `test` is read, or the only one; a .parquet, .jsonl or .csv file, or a folder of such files;
            or the id of a dataset on the Hub. Text is UTF-8, or UTF-16 with its byte order mark; cells of a .csv file
            are taken as they are written, and an empty label is `None`.
        modality (`str`): The form; with `None` the columns are called `positive`, `negative` and `context`.
        task (`str`, *optional*): The task; rows of all tasks if not given.

    Returns:
        `list[dict]`: Rows without the columns of other forms and without audio.

    Raises:
        `FileNotFoundError`: If there is no such file.
        `ValueError`: If a file cannot be read, or there are no pairs (of the task).
    """
    wanted = {"id", "pair_id", "cluster", "task", "group", "band", "voice", "rate", *_columns(modality)}
    if isinstance(pairs, (str, Path)):
        pairs = _read_source(str(pairs), wanted)
    elif isinstance(pairs, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        pairs = pairs[_test_split("What was given as pairs", list(pairs))]
    if isinstance(pairs, datasets.Dataset):
        # Audio would be decoded on the way to a row.
        pairs = pairs.select_columns([column for column in pairs.column_names if column in wanted])
    rows = [{key: value for key, value in row.items() if key in wanted} for row in pairs]
    if task is None and not rows:
        raise ValueError("There are no pairs in what was given.")
    own = [row for row in rows if task is None or row.get("task") in (None, task)]
    if not own:
        found = ", ".join(sorted({str(row["task"]) for row in rows})) or "no rows at all"
        raise ValueError(f"There are no pairs of the task {task!r}; the pairs given have {found}.")
    return own


def _labels(rows: list[Mapping]) -> dict[str, list]:
    """`cluster_ids` and `ids` of rows, by the first of the columns for them that all rows have."""
    labels = {}
    for argument, keys in (("cluster_ids", ("cluster", "pair_id", "id")), ("ids", ("pair_id", "id"))):
        found = next((key for key in keys if rows and all(_is_given(row.get(key)) for row in rows)), None)
        if found:
            labels[argument] = [row[found] for row in rows]
    return labels


def _columns(modality: str | None) -> list[str]:
    """The columns of contents in one form."""
    return [part if modality is None else f"{part}_{modality}" for part in ("context", *SIDES)]


def _is_given(value) -> bool:
    """Whether a cell has a value: tables write those that have none in many ways."""
    return value is not None and value != "" and value == value


def _read_source(source: str, wanted: set[str]):
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix in (".parquet", *_READERS) and not path.is_file():
        raise FileNotFoundError(f"There is no file of pairs at {source}.")
    if path.is_dir():
        tables = sorted(path.rglob("test-*.parquet")) or sorted(path.rglob("*.parquet"))
    else:
        tables = [path] if suffix == ".parquet" else []
    if tables:
        return [row for table in tables for row in _read_parquet(table, wanted)]
    if suffix in _READERS:
        return _READERS[suffix](path)
    # The tables of a folder or of the Hub are read as one table by itself is: `datasets` takes the words null, NA and
    # None in a .csv file for cells without text.
    builder = datasets.load_dataset_builder(source)
    if f".{builder.name}" in _READERS and builder.config.data_files:
        splits = builder.config.data_files
        files = datasets.DownloadManager().download_and_extract(list(splits[_test_split(source, list(splits))]))
        return [row for file in files for row in _READERS[f".{builder.name}"](Path(file))]
    loaded = datasets.load_dataset(source)
    return loaded[_test_split(source, list(loaded))]


def _test_split(source: str, splits: list) -> str:
    """`test`, or the only split."""
    if "test" not in splits and len(splits) > 1:
        raise ValueError(
            f"{source} has no split 'test'; load one of {', '.join(map(str, splits))} and give it as pairs."
        )
    return "test" if "test" in splits else splits[0]


def _read_parquet(path: Path, wanted: set[str]) -> list[dict]:
    """The wanted columns only: pairs of a study have audio beside them."""
    try:
        names = [name for name in pq.read_schema(path).names if name in wanted]
        return pq.read_table(path, columns=names).to_pylist()
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a whole parquet file.") from error


def _read_csv(path: Path) -> list[dict]:
    """Rows of cells as they are written; no word means that there is nothing."""
    text = _read_text(path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    mark = max(",;\t|", key=header.count)
    names, rows, number = [], [], 1
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
        for cells in lines:
            if any(cells[len(names) :]) and names:
                raise ValueError(
                    f"Line {number} of {path} has {len(cells)} cells and its header {len(names)}; put text that has "
                    f"{mark!r} in it in quotation marks."
                )
            if any(cells) and names:
                # Spreadsheets leave out empty cells at the end of a row, or add some.
                cells += [""] * (len(names) - len(cells))
                rows.append({name: cell or _EMPTY.get(name.split("_")[0]) for name, cell in zip(names, cells)})
            names = names or [cell.strip() for cell in cells]
            number = lines.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"Line {number} of {path} is not CSV ({error}); close its quotation marks, and double those inside text."
        ) from None
    return rows


def _read_json(path: Path) -> list[dict]:
    """Rows of a file with one on each line, or of one list."""
    text = _read_text(path)
    if text.lstrip().startswith("["):
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} is not JSON: {error}.") from None
        named = [(row, f"Row {number} of {path}") for number, row in enumerate(found, 1)]
    else:
        lines = [(line, f"Line {number} of {path}") for number, line in enumerate(io.StringIO(text, None), 1)]
        named = [(_parse_line(line, name), name) for line, name in lines if line.strip()]
    for row, name in named:
        if not isinstance(row, dict):
            raise ValueError(f"{name} is no row of pairs but a {type(row).__name__}.")
    return [row for row, _ in named]


def _parse_line(line: str, name: str):
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not JSON: {error}.") from None


def _read_text(path: Path) -> str:
    """Text of a file in UTF-8, or in any Unicode with the byte order mark that spreadsheets put in front of theirs."""
    data = path.read_bytes()
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not {encoding.upper()} (byte {error.start} is 0x{data[error.start]:02x}); save it as UTF-8."
        ) from None
    if "\0" in text:
        raise ValueError(f"{path} has zero bytes in it and is not UTF-8 text; save it as UTF-8.")
    return text


_READERS = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_json, ".json": _read_json}
# An empty cell: content of no length, or no label at all.
_EMPTY = dict.fromkeys(("context", *SIDES), "")
_BYTE_ORDER_MARKS = (  # the longer ones first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
