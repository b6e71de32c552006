"""What `evoslm diagnose` says of tokenizers whose faults are known.

The corpus and the anchors of the preset, as every diagnosis has them -> tables of aligned phones with faults ->
diagnosed one by one -> what is named, and how sure it is. Units, models and reports stay in the cache, and a run that
was stopped goes on from there.
"""

import json
import tempfile
from pathlib import Path

from evoslm.metrics.tasks import TASKS
from evoslm.models.cache import default_cache_dir
from evoslm.training.diagnose.command import DiagnoseArguments, build_corpus, diagnose
from evoslm.training.diagnose.constructed_tokenizers import TOKENIZERS, UNSEEN, write_table
from evoslm.training.diagnose.corpus import UNITS, DiagnosisCorpus, Measured, open_corpus
from evoslm.training.diagnose.decomposition import STEPS
from evoslm.training.diagnose.measures import outcomes_of, read_trained
from evoslm.training.diagnose.trainings import training_jobs
from evoslm.training.report.estimates import difference, headlines_by_seed
from evoslm.training.report.formatting import listing, markdown_table, with_interval
from evoslm.training.run.execution import Execution
from evoslm.training.run.folder import Run
from evoslm.training.run.workers import count_cores, run_jobs

from .flags import full_or_quick

QUICK_PRESET = """
corpus: stories
max_words: 4000
pairs_per_task: 16
bpe_vocab_size: 300
hidden_size: 16
intermediate_size: 32
num_hidden_layers: 1
num_attention_heads: 2
num_key_value_heads: 2
epochs: 0.2
training_seeds: [0, 1]
points: []
"""


def run() -> str:
    if full_or_quick(True, False):
        folder = default_cache_dir() / "diagnosis" / "benchmark"
        folder.mkdir(parents=True, exist_ok=True)
        return _section(folder, "diagnose")
    with tempfile.TemporaryDirectory() as scratch:
        preset = Path(scratch) / "quick.yaml"
        preset.write_text(QUICK_PRESET, encoding="utf-8")
        return _section(Path(scratch), str(preset))


def _section(folder: Path, preset: str) -> str:
    corpus = open_corpus(preset, Execution(count_cores()))
    build_corpus(corpus)
    specs = {}
    for name, faults in full_or_quick(TOKENIZERS | UNSEEN, {"permuted": TOKENIZERS["permuted"]}).items():
        table = write_table(corpus.run, faults, folder / f"{name.replace(' ', '_').replace('%', 'percent')}.parquet")
        specs[name] = f"{name.replace(' %', '').replace(',', '')}={table}"
        specs[name] += f",frame_rate={faults.frame_rate:g},codebook_size={faults.num_units}"
        report = diagnose(DiagnoseArguments([specs[name]], preset, str(folder / "diagnosis")))
    report = diagnose(DiagnoseArguments(list(specs.values()), preset, str(folder / "diagnosis")))
    results = json.loads((report.parent / "results.json").read_text(encoding="utf-8"))
    rows = []
    for name, result in zip(specs, results["tokenizers"].values()):
        for task, found in result["steps"].items():
            named = result["factors"]["by_task"][task]
            steps = [with_interval(found["steps"][step]["points"], sign=True, spread=False) for step in STEPS]
            level = with_interval(found["levels"]["tokenizer"], spread=False)
            rows.append([name, TASKS[task].label, level, *steps, listing(named) if named else "nothing"])
    head = ["tokenizer", "task", "accuracy", *STEPS, "named"]
    return "\n\n".join(
        [
            "## Tokenizers whose faults are known",
            f"{_describe(results)} Changes in points, with intervals of 95 % over pairs and training seeds.",
            markdown_table(head, rows, left=2),
            _other_seeds(corpus, results["seeds"], folder / "diagnosis" / "tokenizers" / "permuted"),
        ]
    )


def _other_seeds(corpus: DiagnosisCorpus, seeds: list[int], folder: Path) -> str:
    """What is left between Phone-Repeat and itself, trained with seeds that no anchor has."""
    permuted = Measured("permuted", Run(folder, corpus.run.voices), frame_rate=50.0)
    others = [max(seeds) + 1 + place for place in range(len(seeds))]
    jobs = training_jobs(permuted, others, corpus, corpus.execution)
    run_jobs(jobs, corpus.execution.num_proc, "other seeds")
    anchor = next(each for each in corpus.anchors if each.modality == UNITS and each.frame_rate == 50.0)
    own, of_others = (outcomes_of(read_trained(place, kept)) for place, kept in ((anchor, seeds), (permuted, others)))
    rows = []
    for task in TASKS:
        relabelled = dict(zip(seeds, headlines_by_seed(of_others, task).values()))
        change = difference(headlines_by_seed(own, task), relabelled)
        if change:
            rows.append([TASKS[task].label, with_interval(change["points"], sign=True)])
    return (
        f"Phone-Repeat at 50 Hz, and permuted phones trained with seeds {listing(list(map(str, others)))}: two sets "
        "of trainings of the same.\n\n" + markdown_table(["task", "difference"], rows)
    )


def _describe(results: dict) -> str:
    words, hours = sum(results["corpus"]["words"].values()), sum(results["corpus"]["seconds"].values()) / 3600
    seeds, made = results["seeds"], results["configuration"]
    return (
        f"{words:,} words, {hours:.1f} h, corpus seed {made['corpus']['corpus_seed']}, training seeds "
        f"{listing(list(map(str, seeds)))}, {results['device']}."
    )
