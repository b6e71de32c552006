"""The scoring stages: log-likelihoods of the minimal pairs by every model, and by n-grams over the same ids.

pairs in a modality's form -> contents -> ids -> `models/scoring.py` -> `<point>/items.parquet`; the metrics and the
report read nothing else.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ...metrics.tasks import TASKS
from ...models.files import read_json
from ...models.modalities import get_modality
from ..arguments.study import Arguments
from ..run import distributed
from ..run.folder import BEST, ITEMS_FILE, POINTS_FOLDER, TRAINING_FILE, Run
from ..run.stage import Stage
from ..score.pair_files import CHUNKS_FOLDER, load_for_scoring, wait_for_scores
from .contents import KEYS, load_pairs


def choose_point_pairs(pairs: pd.DataFrame, pairs_per_task: int, seed: int) -> pd.DataFrame:
    """
    The fixed subset of pairs that the points of the scaling figure are scored on: the same for every modality, and
    whole clusters, so that a pair never stands without its twin.
    """
    chosen = []
    for task, rows in pairs.groupby("task", sort=False):
        sizes = rows.groupby("cluster")["pair_id"].nunique()
        sizes = sizes.iloc[np.random.default_rng([seed, list(TASKS).index(task)]).permutation(len(sizes))]
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
    configuration = {"point_pairs": arguments.pretrain.point_pairs, "seed": arguments.corpus.corpus_seed}
    inputs = {"model": model_dir, "pairs": run.pairs(voices)}
    if entry.is_speech:
        inputs["units"] = run.units_of(modality)

    def build(folder: Path) -> None:
        pairs = load_pairs(run, entry)
        subset = choose_point_pairs(pairs, arguments.pretrain.point_pairs, arguments.corpus.corpus_seed)
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
    from ...models.scoring.pairs import score_pairs

    model, loaded = load_for_scoring(weights, tokenizer, device)
    rows = pairs.rename(columns={"pair_id": "id"}).to_dict("records")
    return score_pairs(model, loaded, rows, save_dir=save_dir, part=(distributed.rank(), distributed.world_size()))
