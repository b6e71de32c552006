"""What is trained: what was not made in just this way yet; and of which trainings a report speaks."""

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from evoslm.training.diagnose.corpus import UNITS, DiagnosisCorpus, Measured, open_corpus
from evoslm.training.diagnose.measures import layer_accuracies, outcomes_of, read_trained, training_measures
from evoslm.training.diagnose.trainings import layer_jobs, training_jobs
from evoslm.training.run.execution import Execution
from evoslm.training.run.folder import Run
from evoslm.training.run.stage import Stage, read_stage

SEEDS = (0, 1)
PRESET = "corpus: stories\nmax_words: 4000\nepochs: {epochs}\nhidden_size: {hidden_size}\npoint_pairs: {point_pairs}\n"
GIVEN = {"epochs": 1, "hidden_size": 16, "point_pairs": 4}
run_stage = Stage.run


def build_nothing(partial: Path) -> None:
    (partial / "summary.json").write_text(json.dumps({"train_tokens": 10}))


def finish(folder: Path, configuration: dict, inputs: dict | None = None) -> None:
    Stage(folder, 1, configuration, inputs or {}).run(build_nothing, overwrite=True)


class Workplace:
    """A tokenizer with its ids, and the corpus of a preset; every stage is built of nothing."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.place = Measured("T", Run(folder / "own"), frame_rate=50.0)
        self.use(GIVEN)
        self.number_ids("a")

    def use(self, given: dict) -> DiagnosisCorpus:
        """The corpus of a preset; its pairs are the same whatever models it asks for."""
        preset = self.folder / "mine.yaml"
        preset.write_text(PRESET.format(**given))
        self.corpus = open_corpus(str(preset), Execution(), self.folder / "cache")
        for path in (self.corpus.run.pairs(), self.corpus.run.pairs_text):
            finish(path, {})
        return self.corpus

    def number_ids(self, of_utterances: str) -> None:
        """Ids of utterances, of which the tokenizer's stage is made, and always the same of pairs."""
        canonical, tokenizer = self.place.canonical, self.place.run.tokenizer(UNITS)
        finish(canonical.utterances, {"units": of_utterances})
        finish(canonical.pairs, {"units": "p"})
        finish(tokenizer, {}, {"units": canonical.utterances})

    def train(self, overwrite: bool = False) -> list[str]:
        """Do everything that is left; returns what was built."""
        execution, before = Execution(overwrite=overwrite), self._built()
        for jobs_of in (training_jobs, layer_jobs):
            for job in jobs_of(self.place, SEEDS, self.corpus, execution):
                job.function(report_progress=lambda share: None, **job.arguments)
        own = self.place.run.folder
        return sorted(path.relative_to(own).as_posix() for path, _ in self._built() - before)

    def _built(self) -> set:
        return {(path.parent, path.stat().st_mtime_ns) for path in self.place.run.folder.rglob("stage.json")}


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """One in which everything was trained once."""
    monkeypatch.setattr(
        Stage,
        "run",
        lambda stage, build, overwrite=False, together=False: run_stage(stage, build_nothing, overwrite),
    )
    place = Workplace(tmp_path)
    place.first = place.train()
    return place


ALL = sorted(
    [f"{kind}/{UNITS}/seed-{seed}" for kind in ("models", "scores", "layers") for seed in SEEDS]
    + [f"scores/{UNITS}/baselines"]
)


def test_what_was_trained_is_not_trained_again(workplace):
    assert workplace.first == ALL
    assert workplace.train() == workplace.train(overwrite=True) == []


@pytest.mark.parametrize(
    ("change", "message"), [({"epochs": 9}, "protocol.epochs"), ({"hidden_size": 32}, "shape.hidden_size")]
)
def test_models_of_another_preset_are_refused_or_trained_anew(workplace, change, message):
    workplace.use(GIVEN | change)
    with pytest.raises(ValueError, match=f"was made with another configuration: {message}.*--overwrite"):
        training_jobs(workplace.place, SEEDS, workplace.corpus, Execution())
    assert workplace.train(overwrite=True) == [name for name in ALL if not name.endswith("baselines")]
    assert workplace.train() == []


def test_other_points_are_scored_by_the_same_models(workplace):
    workplace.use(GIVEN | {"point_pairs": 8})
    with pytest.raises(ValueError, match="point_pairs"):
        training_jobs(workplace.place, SEEDS, workplace.corpus, Execution())
    assert workplace.train(overwrite=True) == [f"scores/{UNITS}/seed-{seed}" for seed in SEEDS]


def test_other_ids_of_utterances_make_other_models_though_the_pairs_stay_the_same(workplace):
    workplace.number_ids("b")
    with pytest.raises(ValueError, match="inputs.tokenizer"):
        training_jobs(workplace.place, SEEDS, workplace.corpus, Execution())
    assert workplace.train(overwrite=True) == ALL


def test_a_raised_version_makes_finished_anchors_again(workplace, monkeypatch):
    from evoslm.training.diagnose import trainings
    from evoslm.training.stages import models

    def raised(folder, tokenizer, settings, of_before=models.model_stage):
        stage = of_before(folder, tokenizer, settings)
        return Stage(stage.folder, stage.version + 1, stage.configuration, stage.inputs)

    for module in (trainings, models):
        monkeypatch.setattr(module, "model_stage", raised)
    assert workplace.train(overwrite=True) == [name for name in ALL if not name.endswith("baselines")]


def test_a_model_that_is_gone_is_trained_again(workplace):
    shutil.rmtree(workplace.place.run.model(UNITS, 1))
    assert workplace.train() == [f"models/{UNITS}/seed-1"]
    assert read_stage(workplace.place.run.model(UNITS, 1)) is not None


def leave_results(place: Measured, seed: int, loss: float, second_pair_is_right: bool) -> None:
    """What the report reads of a model that was asked two pairs."""
    keys = {"task": "swuggy", "group": "g", "band": "1-5", "voice": "v", "positive_tokens": 2, "negative_tokens": 2}
    scored = pd.DataFrame({"pair_id": ["a", "b"], "cluster": ["a", "b"]}).assign(**keys)
    scored = scored.assign(positive=-2.0, negative=[-3.0, -3.0 if second_pair_is_right else -1.0])
    scored = scored.assign(positive_unconditional=math.nan, negative_unconditional=math.nan)
    log_likelihoods = [name for name in scored if name.startswith(("positive", "negative")) and "tokens" not in name]
    by_layer = scored.assign(**{name: [[value] * 2 for value in scored[name]] for name in log_likelihoods})
    for folder, table in (
        (place.run.scores(UNITS, seed) / "best", scored),
        (place.run.scores(UNITS, seed) / "updates-1", scored),
        (place.layers / UNITS / f"seed-{seed}", by_layer),
    ):
        folder.mkdir(parents=True)
        table.to_parquet(folder / "items.parquet")
    place.run.model(UNITS, seed).mkdir(parents=True)
    training = {"best_validation_loss": loss, "epochs": 1, "points": [{"name": "updates-1", "tokens": 5}]}
    (place.run.model(UNITS, seed) / "training.json").write_text(json.dumps(training))


def test_a_report_speaks_of_the_seeds_that_were_asked_for_alone(tmp_path):
    place, corpus = Measured("T", Run(tmp_path / "own")), Run(tmp_path / "corpus")
    leave_results(place, 0, 1.0, True)
    leave_results(place, 1, 2.0, True)
    leave_results(place, 2, 9.0, False)  # of an earlier command
    for path, summary in (
        (place.run.tokenizer(UNITS) / "summary.json", {"validation_seconds": 100, "validation_tokens": 5000}),
        (corpus.corpus_summary, {"utterances": {"validation": 0}}),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(summary))
    part = read_trained(place, SEEDS)
    measures = training_measures(part, SimpleNamespace(run=corpus))
    assert measures["losses"]["best"]["nats_per_token"] == 1.5 and sorted(outcomes_of(part)) == [0, 1]
    assert measures["scaling"]["swuggy"]["points"][0]["value"] == 1.0
    for seeds, accuracy in (((0, 1), 1.0), ((0, 2), 0.75)):
        layers = layer_accuracies(place, seeds)["swuggy"]["accuracies"]
        assert [layer["value"] for layer in layers] == [accuracy] * 2
