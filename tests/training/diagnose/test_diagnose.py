"""`evoslm diagnose` from tokenizers to its page, on a corpus so small that its numbers mean nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from evoslm.training.cli import main
from evoslm.training.diagnose.constructed_tokenizers import Faults, write_table
from evoslm.training.diagnose.corpus import open_corpus
from evoslm.training.diagnose.decomposition import STEPS
from evoslm.training.run.execution import Execution
from evoslm.training.run.folder import Run

SEEDS = ("0", "1")
PRESET = """
corpus: stories
stories: simple
max_words: 4000
pairs_per_task: 16
bpe_vocab_size: 300
hidden_size: 16
intermediate_size: 32
num_hidden_layers: 1
num_attention_heads: 2
num_key_value_heads: 2
epochs: 0.5
utterances_per_batch: 8
learning_rate: 4.0e-3
training_seeds: [0, 1]
points: [0.2, 0.3, 0.4]
point_pairs: 4
"""
LEVELS = """
import numpy as np

def levels(waveform, rate):
    hop = rate // 40
    frames = waveform[: len(waveform) // hop * hop].reshape(-1, hop)
    return np.clip(14 + np.log2(np.abs(frames).mean(1) + 2**-14), 0, 12).astype(int)
"""


class Workplace:
    """A cache with the corpus of a preset, tokenizers, and the command on them."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "tiny.yaml").write_text(PRESET)
        (folder / "levels.py").write_text(LEVELS)
        self.levels = f"Levels={folder}/levels.py:levels,frame_rate=40,codebook_size=13"

    @property
    def run(self) -> Run:
        return open_corpus(str(self.folder / "tiny.yaml"), Execution(2), self.folder / "cache").run

    def table(self, name: str, faults: Faults) -> str:
        path = write_table(self.run, faults, self.folder / f"{name}.parquet")
        return f"{name}={path},frame_rate={faults.frame_rate:g},codebook_size={faults.num_units}"

    def command(self, *tokenizers: str, output_dir: str) -> list[str]:
        flags = ["--preset", str(self.folder / "tiny.yaml"), "--output_dir", str(self.folder / output_dir)]
        return ["diagnose", *tokenizers, *flags, "--num_proc", "2"]

    def diagnose(self, *tokenizers: str, output_dir: str) -> dict:
        assert main(self.command(*tokenizers, output_dir=output_dir)) == 0
        return json.loads((self.folder / output_dir / "report" / "results.json").read_text())

    def trained(self) -> dict[str, int]:
        """When each stage of the anchors was finished."""
        return {path.as_posix(): path.stat().st_mtime_ns for path in self.run.folder.rglob("stage.json")}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A diagnosis that was killed among its trainings, and then run to its end."""
    place = Workplace(tmp_path_factory.mktemp("diagnosis"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVOSLM_CACHE", str(place.folder / "cache"))
        command = [sys.executable, "-m", "evoslm.training.cli", *place.command(place.levels, output_dir="first")]
        process = subprocess.Popen(
            command, env=dict(os.environ), stdout=subprocess.PIPE, start_new_session=True, text=True
        )
        scored = (place.run.folder / "scores").glob
        while not list(scored("*/seed-*/stage.json")):
            assert process.poll() is None, "it ended before anything was scored"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        place.at_the_kill = place.trained()
        place.results = place.diagnose(place.levels, output_dir="first")
        yield place


@pytest.mark.end_to_end
def test_a_kill_loses_nothing_that_was_finished(workplace):
    now = workplace.trained()
    assert workplace.at_the_kill and len(workplace.at_the_kill) < len(now)
    assert {path: now[path] for path in workplace.at_the_kill} == workplace.at_the_kill


@pytest.mark.end_to_end
def test_a_diagnosis_has_its_page_its_figure_and_numbers_that_add_up(workplace):
    report = workplace.folder / "first" / "report"
    text = (report / "report.md").read_text()
    assert workplace.results["changes"] == [] and "Against each other" not in text
    assert text.startswith("# Diagnosis of Levels\n") and "![Accuracy in per cent, from Text-BPE" in text
    assert "<svg" in (report / "report.html").read_text() and (report / "waterfall.png").stat().st_size > 10_000
    result = workplace.results["tokenizers"]["Levels"]
    assert result["rate_anchor"] == pytest.approx(
        {"rate": 40, "lower": 25, "upper": 50, "weight": np.log2(1.6), "is_outside": False}
    )
    assert set(result["steps"]) == set(workplace.results["tasks"]) == {"swuggy", "sblimp", "topic_sc"}
    for found in result["steps"].values():
        total = sum(found["steps"][step]["points"]["value"] for step in STEPS)
        assert total == pytest.approx(found["gap"]["points"]["value"], abs=1e-12)
        assert found["gap"]["n_seeds"] == 2
    assert result["tokens_per_second"] == pytest.approx(40, rel=0.02) and result["encoding"]["seconds"] > 0
    assert len(result["layers"]["sblimp"]["accuracies"]) == 2  # of the embeddings and of one layer
    last = result["layers"]["sblimp"]["accuracies"][-1]["value"]
    assert last == pytest.approx(result["accuracies"]["sblimp"]["headline"]["value"], abs=1e-9)
    assert result["unigram_bits_per_second"] > 0 and result["losses"]["best"]["bits_per_second"] > 0
    assert 0 < result["word_stability"]["same_word_same_speaker"]["value"] < 1
    assert {row["perturbation"] for row in result["unit_edit_distance"]["rows"]} > {"noise_10", "pitch_up"}


@pytest.mark.end_to_end
def test_permuted_phones_are_phone_repeat_and_anchors_are_trained_once(workplace, capsys):
    before = workplace.trained()
    permuted = workplace.table("permuted", Faults(seed=3))
    results = workplace.diagnose(permuted, workplace.levels, output_dir="second")
    assert workplace.trained() == before
    said = capsys.readouterr().out.partition("language models")[0]
    assert "The ids of permuted were looked up for" in said and "permuted encoded" not in said
    assert "Levels encoded" in said and "times real time" in said
    text = (workplace.folder / "second" / "report" / "report.md").read_text()
    assert "Encoding: Levels took" in text and "permuted took" not in text
    result, anchor = results["tokenizers"]["permuted"], results["anchors"]["phone_repeat_50"]
    assert result["encoding"] is None
    for task, found in result["steps"].items():
        points = found["steps"]["variability"]["points"]
        assert points == {"value": 0, "low": 0, "high": 0}, "the models are the anchor's, to the bit"
        assert result["accuracies"][task]["headline"] == anchor["accuracies"][task]["headline"]
    assert result["word_stability"] == anchor["word_stability"] and result["losses"] == anchor["losses"]
    assert "variability" not in result["factors"]["named"]
    assert result["quality"]["pnmi"] == pytest.approx(1)
    assert not any("of other utterances" in warning for warning in result["warnings"])
    seed = "models/speech_units/seed-1/model.safetensors"
    own = workplace.folder / "second" / "tokenizers" / "permuted" / seed
    assert own.read_bytes() == (workplace.run.folder / "phone_repeat_50" / seed).read_bytes()
    (change,) = results["changes"]
    assert (change["baseline"], change["result"]) == ("permuted", "Levels")
    assert "## Against each other" in text and "| permuted to Levels |" in text
    for task, found in change["by_task"].items():
        before, after = (
            results["tokenizers"][name]["accuracies"][task]["headline"] for name in ("permuted", "Levels")
        )
        assert found["points"]["value"] == pytest.approx(after["value"] - before["value"])
        assert found["n_seeds"] == 2
    # The other one lies elsewhere, and comes out the same.
    first, second = (found["tokenizers"]["Levels"]["steps"] for found in (workplace.results, results))
    assert first == second


@pytest.mark.end_to_end
def test_a_table_that_lacks_audio_or_has_other_lengths_is_refused_before_any_training(workplace, capsys):
    import pyarrow.parquet as pq

    whole = pq.read_table(write_table(workplace.run, Faults(), workplace.folder / "whole.parquet"))
    short = workplace.folder / "short.parquet"
    pq.write_table(whole.slice(0, len(whole) - 3), short)
    for path, rate, message in (
        (short, 50, f"lacks 3 of {len(whole)} utterances and sides of pairs"),
        (short, 50, "`evoslm diagnose --export_audio DIR` writes all of them"),
        (workplace.folder / "whole.parquet", 25, "frames at 25 Hz; give the rate of its ids by frame_rate=... behind"),
    ):
        assert main(workplace.command(f"{path},frame_rate={rate}", output_dir="third")) == 2
        assert message in capsys.readouterr().err
    assert not list((workplace.folder / "third").rglob("model.safetensors"))


@pytest.mark.end_to_end
def test_a_table_that_lacks_audio_is_refused_before_a_function_in_front_of_it_has_heard_everything(workplace, capsys):
    import pyarrow.parquet as pq

    whole = pq.read_table(write_table(workplace.run, Faults(), workplace.folder / "whole.parquet"))
    short, calls = workplace.folder / "short.parquet", workplace.folder / "calls"
    pq.write_table(whole.slice(0, len(whole) - 3), short)
    (workplace.folder / "counting.py").write_text(
        f"{LEVELS}\ndef counted(waveform, rate):\n    open({str(calls)!r}, 'a').write('.')\n"
        "    return levels(waveform, rate)\n"
    )
    counted = f"Counted={workplace.folder}/counting.py:counted,frame_rate=40,codebook_size=13"
    assert main(workplace.command(counted, f"Short={short},frame_rate=50", output_dir="fourth")) == 2
    assert f"lacks 3 of {len(whole)} utterances and sides of pairs" in capsys.readouterr().err
    # Test tones and two sentences, eight utterances and eight parts of pairs, each twice.
    assert len(calls.read_text()) == 2 * (1 + 2 + 16) < len(whole)


@pytest.mark.end_to_end
def test_ids_of_other_utterances_and_shuffled_ones_are_warned_of(workplace, capsys):
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = pq.read_table(write_table(workplace.run, Faults(), workplace.folder / "whole.parquet"))
    rows = [np.asarray(row) for row in whole["units"].to_pylist()]
    ends, random = np.cumsum([len(row) for row in rows])[:-1], np.random.default_rng(0)
    tables = {
        # With as many ids as each has frames, without which the table is refused.
        "others": np.split(np.roll(np.concatenate(rows), 60 * 50), ends),
        "shuffled": [random.permutation(row) for row in rows],
    }
    specs = []
    for name, units in tables.items():
        path = workplace.folder / f"{name}.parquet"
        pq.write_table(pa.table({"file": whole["file"], "units": pa.array(units, pa.list_(pa.uint16()))}), path)
        specs.append(f"{name}={path},frame_rate=50,codebook_size={Faults().num_units}")
    results = workplace.diagnose(*specs, output_dir="mistaken")["tokenizers"]
    said, page = capsys.readouterr().out, (workplace.folder / "mistaken" / "report" / "report.md").read_text()
    for name in tables:
        quality, warnings = results[name]["quality"], results[name]["warnings"]
        assert quality["pnmi"] == pytest.approx(quality["pnmi_of_others"], abs=0.03)
        (of_others,) = [warning for warning in warnings if "% of what those of other utterances are" in warning]
        assert f"- **{name}**: {of_others}" in page and f"{name}: {of_others}" in said
    assert results["shuffled"]["losses"]["best"]["bits_per_second"] > results["shuffled"]["unigram_bits_per_second"]
    assert any(
        "as if the ids of each utterance were shuffled" in warning for warning in results["shuffled"]["warnings"]
    )
    # Of tokenizers that stand beside the right utterances that is not said, whatever else is at this size.
    levels = workplace.results["tokenizers"]["Levels"]
    assert not any("of other utterances" in warning for warning in levels["warnings"])


@pytest.mark.end_to_end
def test_the_audio_that_a_table_needs_is_written(workplace):
    target = workplace.folder / "audio"
    assert main([*workplace.command(output_dir="none"), "--export_audio", str(target)]) == 0
    names = {json.loads(line)["file"] for line in (target / "files.jsonl").read_text().splitlines()}
    import pyarrow.parquet as pq

    path = write_table(workplace.run, Faults(), workplace.folder / "all.parquet")
    assert names == set(pq.read_table(path)["file"].to_pylist())


def test_one_seed_is_no_diagnosis(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("EVOSLM_CACHE", str(tmp_path))
    place = Workplace(tmp_path)
    assert main([*place.command(place.levels, output_dir="x"), "--training_seeds", "3"]) == 2
    assert "two training seeds at least" in capsys.readouterr().err
