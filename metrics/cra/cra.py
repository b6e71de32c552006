"""CRA as an `evaluate` metric: does a joint model of speech units and text find the context that belongs?

log P(continuation | context) of blocks, given or computed from a model -> accuracy of retrieval, with its interval.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import datasets
import evaluate
import pyarrow.parquet as pq

from .bootstrap import paired_effect
from .reference_scorer import DIRECTIONS, score_blocks
from .retrieval_accuracy import check_matrices, retrieval_accuracies

_DESCRIPTION = """
Context retrieval accuracy (CRA) asks whether what a language model continues has to do with what it continues.
Passages are cut in two, and in a block of N of them every continuation is scored after every context: how often is it
likeliest after its own? Contexts and continuations can be speech units or text, so that u2t and t2u tell whether a
joint model carries meaning from one to the other. Chance is 1/N.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `list` of `float`): log P(continuation | context) in nats, summed over the continuation's
        tokens: a row a continuation, a column a context of its block, all blocks of one size N.
    references (`list` of `int`): The column of each continuation's own context, from 0.
    groups (`list` of `str`, *optional*): A label for each continuation, such as its direction, `"u2u"`, `"t2t"`,
        `"u2t"` or `"t2u"`; accuracies are then also given by group.
    unconditional (`list` of `float`, *optional*): log P(continuation) in nats without a context, which the retrieval
        of continuations subtracts.
    cluster_ids (`list`, *optional*): The block of each continuation; the same block may stand in several groups. The
        bootstrap draws blocks. By default every N rows are a block.
    seed (`int`, *optional*, defaults to 0): Of the bootstrap.
    return_outcomes (`bool`, *optional*, defaults to `False`): Whether the result has the `outcomes` of the
        continuations, so that two models can be compared on the same ones.
    model_id (`str`, *optional*): Instead of predictions and references: a joint model to be scored, from the Hub or a
        folder, together with its tokenizer.
    blocks (*optional*): With `model_id`: rows of passages; a .parquet or .jsonl file of them; or a folder of .parquet
        files. Rows have `id`, `block`, `context_text`, `context_units`, `continuation_text` and `continuation_units`,
        units as the tokenizer reads them (`"▪17▪942"`); those that no direction reads may be missing.
    direction (`str` or `list` of `str`, *optional*): With `model_id`: the directions; all four by default.
    batch_tokens (`int`, *optional*): With `model_id` and `evoslm` installed: most positions in one forward pass.
    device (`str`, *optional*): With `model_id`: where the model runs; by default on a GPU if there is one.

Returns:
    `dict`:
    - `accuracy`, `ci_low`, `ci_high`: the share of continuations, between 0 and 1, that are likeliest after their own
      context, a tie of k counting 1/k, and its 95 % bootstrap interval over blocks (items only);
    - `accuracy_continuation`, `ci_low_continuation`, `ci_high_continuation`, with `unconditional`: the share of
      contexts after which their own continuation gains most over its unconditional log-likelihood;
    - `chance` (1/N) and `block_size` (N);
    - `n` and `n_blocks`, of how many continuations and blocks that is;
    - `groups`, with `groups`: accuracies, intervals, `n` and `n_blocks` of each group;
    - `outcomes`, with `return_outcomes`: a `dict` a continuation, in order: `cluster` and perhaps `group`, `correct`
      and `correct_continuation`, 1 (right), 1/k (a tie) or 0.

Examples:
    Two blocks of two passages. The first continuation of the second block is likelier after the wrong context, and
    unlikely anywhere.

    >>> import evaluate
    >>> cra = evaluate.load("metrics/cra")  # from the Hub: "<namespace>/cra"
    >>> result = cra.compute(
    ...     predictions=[[-20.0, -23.0], [-31.0, -30.0], [-45.0, -44.0], [-26.0, -20.0]],
    ...     references=[0, 1, 0, 1],
    ...     unconditional=[-24.0, -32.0, -60.0, -24.0],
    ... )
    >>> result["accuracy"], result["accuracy_continuation"], result["chance"], result["n_blocks"]
    (0.75, 0.75, 0.5, 2)
"""

_CITATION = """
@article{chou2023toward,
  title = {Toward Joint Language Modeling for Speech Units and Text},
  author = {Chou, Ju-Chieh and Chien, Chung-Ming and Hsu, Wei-Ning and Livescu, Karen and Babu, Arun
    and Conneau, Alexis and Baevski, Alexei and Auli, Michael},
  journal = {arXiv preprint arXiv:2310.08715},
  year = {2023}
}
"""

_OPTIONAL = ("groups", "unconditional", "cluster_ids")
_SCORING_OPTIONS = ("direction", "batch_tokens", "device")


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class Cra(evaluate.Metric):
    """Is a continuation likeliest after its own context?"""

    paired_effect = staticmethod(paired_effect)

    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("float64")),
                    "references": datasets.Value("int64"),
                }
            ),
            reference_urls=["https://arxiv.org/abs/2310.08715"],
        )

    def compute(self, *, predictions=None, references=None, model_id=None, blocks=None, **kwargs):
        """Compute the metric, from `predictions` and `references`, or by itself from `model_id` and `blocks`.

        `evaluate` makes every declared feature mandatory, so a model is scored here, before it looks at its features.
        """
        if model_id is not None or blocks is not None:
            if predictions is not None or references is not None:
                raise ValueError("Give predictions and references, or model_id and blocks, but not both.")
            if model_id is None or blocks is None:
                raise ValueError("To score a model give model_id and blocks, both.")
            options = {name: kwargs.pop(name) for name in _SCORING_OPTIONS if name in kwargs}
            scored = judge_arguments(_score(model_id, read_blocks(blocks), **options))
            predictions, references = scored.pop("predictions"), scored.pop("references")
            kwargs = scored | kwargs
        elif predictions is None and references is None and self.writer is None:
            raise ValueError("There is nothing to judge: give predictions and references, or model_id and blocks.")
        elif predictions is not None:
            # Before `evaluate` stores them: an error later on would leave a locked file behind.
            check_matrices(predictions, references, **{name: kwargs.get(name) for name in _OPTIONAL})
        return super().compute(predictions=predictions, references=references, **kwargs)

    @staticmethod
    def judge_arguments(scored: Iterable[Mapping]) -> dict[str, list]:
        """Scored blocks as the arguments of `compute`, see the function of this name."""
        return judge_arguments(scored)

    def _compute(self, predictions, references, **options):
        return retrieval_accuracies(predictions, references, **options)


def judge_arguments(scored: Iterable[Mapping]) -> dict[str, list]:
    """
    Scored blocks as the arguments of `compute`.

    Args:
        scored (`Iterable[Mapping]`): For each block and direction `block`, `direction`, `log_likelihoods` (a square
            matrix: continuations by contexts in the same order) and `unconditional`.

    Returns:
        `dict`: `predictions`, `references`, `unconditional`, `groups` and `cluster_ids`.
    """
    names = ("predictions", "references", "unconditional", "groups", "cluster_ids")
    arguments: dict[str, list] = {name: [] for name in names}
    for block in scored:
        size = len(block["log_likelihoods"])
        arguments["predictions"] += block["log_likelihoods"]
        arguments["references"] += range(size)
        arguments["unconditional"] += block["unconditional"]
        arguments["groups"] += [block["direction"]] * size
        arguments["cluster_ids"] += [block["block"]] * size
    return arguments


def read_blocks(blocks) -> list[dict]:
    """
    Rows of passages.

    Args:
        blocks (`str`, `Path` or `Iterable[Mapping]`): Rows, such as a list or a `datasets.Dataset`; a .parquet or
            .jsonl file; or a folder of .parquet files.

    Raises:
        `FileNotFoundError`: If there is no such file or folder.
        `ValueError`: If there are no rows in it, or it is of another kind.
    """
    rows = _read_rows(Path(blocks)) if isinstance(blocks, (str, Path)) else [dict(row) for row in blocks]
    if not rows:
        raise ValueError("There are no passages in the blocks that were given.")
    return rows


def _read_rows(path: Path) -> list[dict]:
    if not path.exists():
        raise FileNotFoundError(f"There is no file or folder of blocks at {path}.")
    if path.suffix == ".jsonl":
        return _read_json_lines(path)
    tables = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if any(table.suffix != ".parquet" for table in tables):
        raise ValueError(f"{path} cannot be read: give a .parquet or .jsonl file, or a folder of .parquet files.")
    return [row for table in tables for row in pq.read_table(table).to_pylist()]


def _read_json_lines(path: Path) -> list[dict]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ValueError(f"Line {number} of {path.name} is not JSON: {error}.") from None
    return rows


def _score(model_id, rows: list[dict], direction=None, device=None, batch_tokens=None) -> list[dict]:
    """Every block in every direction."""
    directions = list(DIRECTIONS) if direction is None else [direction] if isinstance(direction, str) else direction
    for name in directions:
        if name not in DIRECTIONS:
            raise ValueError(f"There is no direction {name!r}; choose from {', '.join(DIRECTIONS)}.")
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise ValueError("Scoring a model needs torch and transformers: pip install torch transformers.") from error
    model = AutoModelForCausalLM.from_pretrained(model_id, dtype=torch.float32, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(model_id)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        from evoslm.models.scoring import score_blocks as score
    except ImportError:
        score, options = score_blocks, {}
    else:
        options = {"batch_tokens": batch_tokens, "progress": True}
    return [block for name in directions for block in score(model, tokenizer, rows, name, device=device, **options)]
