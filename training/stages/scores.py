"""The stage of scores: log-likelihoods of the minimal pairs by one model, and by its points along the way.

pairs in a modality's form -> contents -> ids -> `models/scoring.py` -> `<point>/items.parquet`; the metrics and the
report read nothing else.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ...metrics.tasks import TASKS
from ...models.files import read_json, written_whole
from ...models.modalities import get_modality
from ..run import distributed
from ..run.execution import Execution
from ..run.folder import BEST, ITEMS_FILE, POINTS_FOLDER, TRAINING_FILE
from ..run.stage import Stage
from ..score.pair_files import CHUNKS_FOLDER, load_for_scoring, wait_for_scores
from .contents import KEYS, read_contents


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


@dataclass(frozen=True)
class ScoreSettings:
    """
    Which pairs are asked about.

    Args:
        modality (`str`): What the model reads.
        point_pairs (`int`): Pairs a task that the points along the way are scored on.
        corpus_seed (`int`): Seed of their choice.
    """

    modality: str
    point_pairs: int
    corpus_seed: int


def score_stage(folder: Path, model: Path, pairs: Path, units: Path | None, settings: ScoreSettings) -> Stage:
    """What makes the scores of one model; the arguments are those of [`build_scores`]."""
    inputs = {"model": model, "pairs": pairs} | ({"units": units} if units else {})
    return Stage(folder, 3, asdict(settings), inputs, packages=("torch", "transformers"))


def build_scores(
    folder: Path,
    model: Path,
    pairs: Path,
    units: Path | None,
    settings: ScoreSettings,
    execution: Execution,
    report_progress: Callable[[float], None] | None = None,
) -> None:
    """
    Score one model and its points along the way: `best/items.parquet`, `updates-*/items.parquet`.

    Args:
        folder (`Path`): Where to.
        model (`Path`): The stage of the model, with its tokenizer.
        pairs (`Path`): The spoken pairs.
        units (`Path`, *optional*): Their units, for a modality of speech.
        settings ([`ScoreSettings`]): Which pairs are asked about.
        execution ([`Execution`]): How it is done.
        report_progress (`Callable[[float], None]`, *optional*): Called with the share of points that are done.
    """

    def build(partial: Path) -> None:
        contents = read_contents(pairs, get_modality(settings.modality), units)
        subset = choose_point_pairs(contents, settings.point_pairs, settings.corpus_seed)
        points = [point["name"] for point in read_json(model / TRAINING_FILE)["points"]]
        weights = {BEST: model} | {point: model / POINTS_FOLDER / point for point in points}
        for index, (point, path) in enumerate(weights.items()):
            target = partial / point / ITEMS_FILE
            if not target.exists():
                target.parent.mkdir(exist_ok=True)
                asked = contents if point == BEST else subset
                save_dir = target.with_name(CHUNKS_FOLDER)
                score_folder(path, model, asked, save_dir, execution.device)
                if distributed.is_main():
                    scores = pd.DataFrame(wait_for_scores(save_dir, len(asked)))
                    with written_whole(target) as unfinished:
                        pd.concat([asked[KEYS], scores], axis=1).to_parquet(unfinished)
            if report_progress is not None:
                report_progress((index + 1) / len(weights))

    score_stage(folder, model, pairs, units, settings).run(build, execution.overwrite, together=True)
    if distributed.is_main():
        for chunks in folder.glob(f"*/{CHUNKS_FOLDER}"):
            shutil.rmtree(chunks)


def score_folder(
    weights: Path,
    tokenizer: Path,
    pairs: pd.DataFrame,
    save_dir: Path,
    device: str = "cpu",
    part: tuple[int, int] | None = None,
) -> list[dict[str, float | int]]:
    """
    Log-likelihoods of this process's share of some pairs by a model folder.

    Args:
        weights (`Path`): A folder for `AutoModelForCausalLM`.
        tokenizer (`Path`): A folder for `AutoTokenizer`.
        pairs (`pd.DataFrame`): As [`read_contents`] gives them.
        save_dir (`Path`): Where they are kept as they are made; [`wait_for_scores`] finds them there.
        device (`str`, *optional*, defaults to `"cpu"`): Where the model runs.
        part (`tuple[int, int]`, *optional*): Which share and of how many; this process's own when not given.

    Returns:
        `list[dict]`: As [`score_pairs`] gives them.
    """
    from ...models.scoring import score_pairs

    model, loaded = load_for_scoring(weights, tokenizer, device)
    rows = pairs.rename(columns={"pair_id": "id"}).to_dict("records")
    part = part or (distributed.rank(), distributed.world_size())
    return score_pairs(model, loaded, rows, save_dir=save_dir, part=part)
