"""Adding something takes the files that its recipe in CONTRIBUTING.md names, and no others: tried on a copy."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_study import TINY

ROOT = Path(__file__).parents[1]
FOLDERS = ("models", "datasets_scripts", "metrics", "training")
BUILDER = '''"""Speech-Halved: every other speech unit.

shards of `id` and `units` -> the first of each two units -> content, "17 942 ...".
"""

import pyarrow as pa

from .base import conditions
from .speech_units import SpeechUnits


class SpeechHalved(SpeechUnits):
    """The dataset of every other speech unit."""

    BUILDER_CONFIGS = conditions("speech_halved", voices=True)
    summary = "Every other speech unit of each utterance."

    @staticmethod
    def unit_contents(units: pa.ListArray) -> pa.Array:
        """Every other unit."""
        return pa.array([" ".join(map(str, row[::2])) for row in units.to_pylist()], pa.string())
'''
METRIC = '''"""Mean margin: how much likelier a model finds the positive sides of minimal pairs, in nats."""

import datasets
import evaluate

_DESCRIPTION = "The mean difference of two log-likelihoods."
_KWARGS_DESCRIPTION = """
Examples:

    >>> import evaluate
    >>> evaluate.load("metrics/mean_margin").compute(predictions=[-1.0, -2.0], references=[-2.0, -5.0])
    {'mean_margin': 2.0}
"""


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class MeanMargin(evaluate.Metric):
    """How much likelier is the positive side?"""

    def _info(self):
        features = datasets.Features({"predictions": datasets.Value("float"), "references": datasets.Value("float")})
        return evaluate.MetricInfo(
            description=_DESCRIPTION, citation="", inputs_description=_KWARGS_DESCRIPTION, features=features
        )

    def _compute(self, predictions, references):
        return {"mean_margin": sum(p - r for p, r in zip(predictions, references)) / len(predictions)}
'''


class Checkout:
    """
    A copy of the package, laid out as a wheel lays it out and imported in place of this one.

    Args:
        folder (`Path`): Where to.
        recipe (`str`): A heading of CONTRIBUTING.md: what is added or changed has to be named below it.
        name (`str`): What is added, `<name>` in the recipe.
    """

    def __init__(self, folder: Path, recipe: str, name: str):
        text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        self.recipe = re.search(rf"^## {re.escape(recipe)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]
        self.folder, self.name = folder, name
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "evoslm", folder / "evoslm", ignore=ignore)
        for top in FOLDERS:
            shutil.copytree(ROOT / top, folder / "evoslm" / top, ignore=ignore)

    def add(self, file: str, text: str) -> None:
        path = self._named(file)
        assert not path.exists(), file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def put_before(self, file: str, line: str, text: str) -> None:
        path = self._named(file)
        before = path.read_text(encoding="utf-8")
        assert before.count(line) == 1, (file, line)
        path.write_text(before.replace(line, text + line), encoding="utf-8")

    def run(self, *words: str) -> str:
        """What a command prints."""
        environment = os.environ | {"PYTHONPATH": str(self.folder)}
        command = [sys.executable, *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=self.folder)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def _named(self, file: str) -> Path:
        assert f"`{file.replace(self.name, '<name>')}`" in self.recipe, f"the recipe does not name {file}"
        return self.folder / "evoslm" / file


@pytest.mark.parametrize("thing", ["a modality", "a task", "a metric", "an encoder", "a command"])
def test_a_recipe_is_short_and_names_files_that_are_there(thing):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipe = re.search(rf"^## Add {thing}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)[1]
    assert len(recipe.strip().splitlines()) <= 10
    files = [file for file in re.findall(r"`([\w/.]+/[\w.]*)`", recipe) if file.split("/")[0] in (*FOLDERS, "tests")]
    assert files and [file for file in files if not (ROOT / file).exists()] == []


def test_a_new_modality_goes_through_a_whole_study(tmp_path, finished_run):
    checkout = Checkout(tmp_path, "Add a modality", "speech_halved")
    checkout.add("datasets_scripts/builders/speech_halved.py", BUILDER)
    names = "datasets_scripts/builders/by_name.py"
    checkout.put_before(names, "from .speech_syllable import", "from .speech_halved import SpeechHalved\n")
    checkout.put_before(names, "    *(SpeechUnits,", "    SpeechHalved,\n")
    entry = '"speech_halved", "Speech-Halved", "units", "units", "every other unit", "answer to B", paper=False'
    checkout.put_before("models/modalities.py", '        Modality("speech_dedup"', f"        Modality({entry}),\n")
    # Its corpus, pairs and units are those of the other modalities.
    run = tmp_path / "run"
    shutil.copytree(finished_run, run, ignore=shutil.ignore_patterns("models", "scores", "report"))
    study = ["study", *TINY, "--modalities", "speech_units", "speech_halved", "--output_dir", str(run)]
    checkout.run("-m", "evoslm.training.cli", *study)
    results = json.loads((run / "report" / "results.json").read_text())
    assert set(results["accuracies"]) == {"speech_units", "speech_halved"}
    assert "Speech-Halved" in (run / "report" / "report.md").read_text()
    tokens = [
        json.loads((run / "tokenizers" / name / "summary.json").read_text())["train_tokens"]
        for name in ("speech_units", "speech_halved")
    ]
    assert tokens[1] == pytest.approx(tokens[0] / 2, rel=0.01)


def test_a_new_metric_is_loaded_by_its_name(tmp_path):
    checkout = Checkout(tmp_path, "Add a metric", "mean_margin")
    checkout.add("metrics/mean_margin/mean_margin.py", METRIC)
    code = "import evaluate, evoslm; metric = evaluate.load(evoslm.metric_path('mean_margin'), cache_dir='cache'); "
    code += "print(metric.compute(predictions=[-1.0, -2.0], references=[-2.0, -5.0]))"
    assert checkout.run("-c", code).splitlines()[-1] == "{'mean_margin': 2.0}"
