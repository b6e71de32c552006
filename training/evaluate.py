"""The scoring stages: log-likelihoods of the minimal pairs by every model, and by n-grams over the same ids.

pairs in a modality's form -> contents -> ids -> `models/scoring.py` -> `<point>/items.parquet`; the metrics and the
report read nothing else.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ..datasets_scripts.pairs_text import TASKS
from ..models.modalities import Modality, get_modality
from . import distributed
from .arguments import Arguments
from .data import TokenizedUtterances
from .pretrain import POINTS_FOLDER, TRAINING_FILE
from .run import Run
from .score import CHUNKS_FOLDER, load_for_scoring, wait_for_scores
from .stages import Stage, read_json, write_json

ITEMS_FILE = "items.parquet"
BASELINES_FILE = "baselines.parquet"
BEST = "best"
SIDES = ("context", "positive", "negative")
KEYS = ["task", "pair_id", "cluster", "group", "band", "voice"]
NGRAM_ORDER = 5


def load_pairs(run: Run, modality: Modality) -> pd.DataFrame:
    """
    The minimal pairs as one modality writes them.

    Args:
        run ([`Run`]): A run with pairs (and units, for a modality of speech).
        modality ([`Modality`]): The modality.

    Returns:
        `pd.DataFrame`: `task`, `pair_id`, `cluster`, `group`, `band`, `voice`, and contents `context`, `positive`
        and `negative`; `context` is empty where a pair has none.
    """
    units = run.units_of(modality.name) / "pairs" if modality.is_speech else None
    return read_contents(run.pairs(run.voices_of(modality.name)), modality, units)


def read_contents(folder: Path, modality: Modality, units_folder: Path | None = None) -> pd.DataFrame:
    """
    Read a folder of minimal pairs as [`load_pairs`] does.

    Args:
        folder (`Path`): Rendered pairs, a folder a task.
        modality ([`Modality`]): The modality.
        units_folder (`Path`, *optional*): Their units, for a modality of speech.

    Returns:
        `pd.DataFrame`: As of [`load_pairs`].
    """
    from ..datasets_scripts.builders import unit_contents

    frames = []
    for task in TASKS:
        columns = ["task", "id", "cluster", "group", "band", "voice"]
        columns += [] if units_folder else [f"{side}_{modality.column}" for side in SIDES]
        for shard in sorted((folder / task).glob("test-*.parquet")):
            rows = pq.read_table(shard, columns=columns).to_pandas().rename(columns={"id": "pair_id"})
            if units_folder:
                units = pq.read_table(units_folder / task / shard.name).to_pylist()
                if [row["id"] for row in units] != rows["pair_id"].tolist():
                    raise ValueError(f"The units of {task}/{shard.name} are not those of its pairs; make them again.")
                for side in SIDES:
                    sequences = [row[f"{side}_units"] or [] for row in units]
                    rows[side] = unit_contents(modality.name, sequences)
            else:
                rows = rows.rename(columns={f"{side}_{modality.column}": side for side in SIDES})
            frames.append(rows)
    pairs = pd.concat(frames, ignore_index=True)
    pairs[list(SIDES)] = pairs[list(SIDES)].fillna("")
    return pairs


def choose_point_pairs(pairs: pd.DataFrame, pairs_per_task: int, seed: int) -> pd.DataFrame:
    """
    The fixed subset of pairs that the points of the scaling figure are scored on: the same for every modality, and
    whole clusters, so that a pair never stands without its twin.
    """
    chosen = []
    for task, rows in pairs.groupby("task", sort=False):
        sizes = rows.groupby("cluster")["pair_id"].nunique()
        sizes = sizes.iloc[np.random.default_rng([seed, TASKS.index(task)]).permutation(len(sizes))]
        before = sizes.cumsum() - sizes
        chosen.append(rows[rows["cluster"].isin(sizes.index[before < pairs_per_task])])
    return pd.concat(chosen, ignore_index=True)


def build_scores(
    arguments: Arguments,
    run: Run,
    modality: str,
    seed: int,
    device: str = "cpu",
    report_progress: Callable[[float], None] | None = None,
) -> Path:
    """
    Score one model and its points along the way: `best/items.parquet`, `updates-*/items.parquet`.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.
        modality (`str`): The modality's name.
        seed (`int`): The training seed.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of points that are done.

    Returns:
        `Path`: The stage's folder.
    """
    entry = get_modality(modality)
    model_dir = run.model(modality, seed)
    voices = run.voices_of(modality)
    configuration = {"point_pairs": arguments.pretrain.point_pairs, "seed": arguments.corpus.seed}
    inputs = {"model": model_dir, "pairs": run.pairs(voices)}
    if entry.is_speech:
        inputs["units"] = run.units_of(modality)

    def build(folder: Path) -> None:
        pairs = load_pairs(run, entry)
        subset = choose_point_pairs(pairs, arguments.pretrain.point_pairs, arguments.corpus.seed)
        points = [point["name"] for point in read_json(model_dir / TRAINING_FILE)["points"]]
        weights = {BEST: model_dir} | {point: model_dir / POINTS_FOLDER / point for point in points}
        for index, (point, path) in enumerate(weights.items()):
            target = folder / point / ITEMS_FILE
            if not target.exists():
                target.parent.mkdir(exist_ok=True)
                asked = pairs if point == BEST else subset
                save_dir = target.with_name(CHUNKS_FOLDER)
                score_folder(path, model_dir, asked, save_dir, device)
                if distributed.is_main():
                    scores = pd.DataFrame(wait_for_scores(save_dir, len(asked)))
                    items = pd.concat([asked[KEYS], scores], axis=1)
                    items.to_parquet(target.with_suffix(".tmp"))
                    target.with_suffix(".tmp").replace(target)
            if report_progress is not None:
                report_progress((index + 1) / len(weights))

    stage = Stage(run.scores(modality, seed), 2, configuration, inputs)
    if distributed.is_main():
        stage.run(build, arguments.run.overwrite)
        for chunks in stage.folder.glob(f"*/{CHUNKS_FOLDER}"):
            shutil.rmtree(chunks)
    else:
        stage.follow(build)
    return stage.folder


def build_baselines(
    arguments: Arguments, run: Run, modality: str, report_progress: Callable[[float], None] | None = None
) -> Path:
    """
    Score the pairs by 1- to 5-grams over the modality's own ids, trained on the same utterances as the models.

    Args:
        arguments ([`Arguments`]): Of the command.
        run ([`Run`]): Where to.
        modality (`str`): The modality's name.
        report_progress (`Callable[[float], None]`, *optional*): Not used: the stage takes seconds.

    Returns:
        `Path`: The stage's folder, with `baselines.parquet`.
    """
    entry = get_modality(modality)
    tokenizer_dir, voices = run.tokenizer(modality), run.voices_of(modality)
    inputs = {"tokenizer": tokenizer_dir, "pairs": run.pairs(voices)}
    if entry.is_speech:
        inputs["units"] = run.units_of(modality)

    def build(folder: Path) -> None:
        score_baselines(tokenizer_dir, load_pairs(run, entry)).to_parquet(folder / BASELINES_FILE)
        write_json(folder / "summary.json", {"orders": NGRAM_ORDER, "smoothing": "Witten-Bell, interpolated"})

    Stage(run.baselines(modality), 2, {"max_order": NGRAM_ORDER}, inputs).run(build, arguments.run.overwrite)
    return run.baselines(modality)


def score_baselines(tokenizer_dir: Path, pairs: pd.DataFrame) -> pd.DataFrame:
    """
    Log-likelihoods of pairs by 1- to 5-grams.

    Args:
        tokenizer_dir (`Path`): A tokenizer with the ids of the training utterances.
        pairs (`pd.DataFrame`): As [`load_pairs`] gives them.

    Returns:
        `pd.DataFrame`: The keys of the pairs, `<side>_tokens` and `ngram<order>_<side>` (nats).
    """
    from transformers import AutoTokenizer

    from ..models.ngram import NGramModel
    from ..models.tokenization import encode_contents

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_dir)
    train = TokenizedUtterances(tokenizer_dir, "train", tokenizer.bos_token_id, tokenizer.eos_token_id)
    model = NGramModel.fit(
        np.asarray(train.ids, dtype=np.int64), train.offsets, vocab_size=len(tokenizer), max_order=NGRAM_ORDER
    )
    ids = {side: encode_contents(tokenizer, pairs[side].tolist(), unknown="unk") for side in SIDES}
    items = pairs[KEYS].copy()
    for side in ("positive", "negative"):
        items[f"{side}_tokens"] = [len(sequence) for sequence in ids[side]]
        values = model.log_likelihoods(ids[side], ids["context"])
        for order in range(1, NGRAM_ORDER + 1):
            items[f"ngram{order}_{side}"] = values[:, order - 1]
    return items


def score_folder(
    weights: Path, tokenizer: Path, pairs: pd.DataFrame, save_dir: Path, device: str = "cpu"
) -> list[dict[str, float | int]]:
    """
    Log-likelihoods of this process's share of some pairs by a model folder.

    Args:
        weights (`Path`): A folder for `AutoModelForCausalLM`.
        tokenizer (`Path`): A folder for `AutoTokenizer`.
        pairs (`pd.DataFrame`): As [`load_pairs`] gives them.
        save_dir (`Path`): Where they are kept as they are made; [`wait_for_scores`] finds them there.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.

    Returns:
        `list[dict]`: As [`score_pairs`] gives them.
    """
    from ..models.scoring import score_pairs

    model, loaded = load_for_scoring(weights, tokenizer, device)
    rows = pairs.rename(columns={"pair_id": "id"}).to_dict("records")
    return score_pairs(model, loaded, rows, save_dir=save_dir, part=(distributed.rank(), distributed.world_size()))
