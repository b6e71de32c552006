"""`evoslm finetune` and `evoslm answer` on units that a function makes, and what takes no such units."""

import json

import numpy as np
import pytest
import soundfile
from tiny_slu import NUM_UNITS, make_model, speak_tones, tone, write_sentiment

from evoslm.datasets_scripts.slu import read_task
from evoslm.models.files import read_json, write_json
from evoslm.models.slu import SluPipeline
from evoslm.models.slu.configuration_slu import SluConfig
from evoslm.training.cli import main
from evoslm.training.external_units.quantizers import load_quantizer, open_units, save_units
from evoslm.training.finetune.speech import read_units

COMMON = ("--num_proc", "1", "--device", "cpu", "--batch_size", "8")
FUNCTION = f"""
import numpy as np

def crossings(waveform, rate):
    hop = rate // 50
    frames = waveform[: len(waveform) // hop * hop].reshape(-1, hop)
    return np.minimum((np.diff(np.sign(frames), axis=1) != 0).sum(1) // 2, {NUM_UNITS - 1})
"""


def save_function(folder, name="crossings", code=FUNCTION):
    """The folder of a run's quantizer that is a function, which lies in a file beside it."""
    folder.mkdir(parents=True)
    (folder.parent / "mine.py").write_text(code)
    units = open_units(f"{folder.parent / 'mine.py'}:{name}", frame_rate=50, codebook_size=NUM_UNITS)
    save_units(units, folder)
    return folder


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return write_sentiment(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="module")
def speech(tmp_path_factory, task):
    return speak_tones(tmp_path_factory.mktemp("speech") / "tones", read_task(str(task)))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("base") / "base", "speech_dedup")


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory, task, speech, base):
    """A model of a function's units, fine-tuned on speech, and the function's folder."""
    folder = tmp_path_factory.mktemp("finetuned")
    quantizer = save_function(folder / "quantizer")
    flags = ["--input", "speech", "--speech_dir", str(speech), "--quantizer", str(quantizer), "--epochs", "4"]
    flags += ["--snr", "20", "--output_dir", str(folder / "out"), "--learning_rate", "1e-2"]
    assert main(["finetune", str(base), "--task", str(task), *COMMON, *flags]) == 0
    return folder / "out", quantizer


def test_units_of_a_function_are_fine_tuned_on(finetuned):
    folder, quantizer = finetuned
    clean, *noisy = read_json(folder / "results.json")["tests"]
    assert clean["measures"]["macro_f1"]["mean"] > 0.9
    assert {(test["noise"], test["snr"]) for test in noisy} == {("white", 20), ("babble", 20)}
    units = read_units(folder / "units" / "clean", "test")
    assert len({len(row) for row in units.values()}) == 1 and len(next(iter(units.values()))) == 20  # 0.4 s
    config = SluConfig.from_pretrained(folder / "models" / "seed-0")
    assert config.unit_quantizer_hash == load_quantizer(quantizer).fingerprint()


def test_the_units_are_those_of_the_function_wherever_it_lies(finetuned, task, speech, base, tmp_path):
    folder, quantizer = finetuned
    moved = save_function(tmp_path / "quantizer")
    (tmp_path / "units").mkdir()
    flags = ["--input", "speech", "--speech_dir", str(speech), "--quantizer", str(moved), "--epochs", "1"]
    flags += ["--output_dir", str(tmp_path / "out"), "--units_dir", str(folder / "units")]
    made = (folder / "units" / "clean" / "stage.json").stat().st_mtime_ns
    assert main(["finetune", str(base), "--task", str(task), *COMMON, *flags]) == 0
    assert (folder / "units" / "clean" / "stage.json").stat().st_mtime_ns == made
    assert str(quantizer.parent) not in (folder / "units" / "clean" / "stage.json").read_text()


def test_recordings_are_answered_by_the_function_of_the_training(finetuned, tmp_path, capsys):
    folder, quantizer = finetuned
    rng = np.random.default_rng(1)
    for name, pitch in (("negative", 150), ("positive", 600)):
        soundfile.write(tmp_path / f"{name}.wav", tone(pitch, rng), 16_000)
    clips = [str(tmp_path / f"{name}.wav") for name in ("negative", "positive")]
    model = str(folder / "models" / "seed-0")
    capsys.readouterr()
    for more in ([], ["--quantizer", str(quantizer)]):
        assert main(["answer", model, *clips, "--device", "cpu", *more]) == 0
        answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [answer["label"] for answer in answers] == ["negative", "positive"]
    with pytest.raises(ValueError, match="holds units that a function makes; load it with load_quantizer of evoslm"):
        SluPipeline.from_pretrained(model)(audio=clips[0])
    pipeline = SluPipeline.from_pretrained(model, quantizer=load_quantizer(quantizer))
    assert pipeline(audio=clips[0])["label"] == "negative"
    other = save_function(tmp_path / "other" / "quantizer", code=FUNCTION.replace("// 2", "// 3"))
    assert main(["answer", model, *clips, "--device", "cpu", "--quantizer", str(other)]) == 2
    error = capsys.readouterr().err
    assert "so that a unit of one means nothing to the other" in error and len(error.splitlines()) == 1


def test_a_table_has_no_units_of_a_task(base, task, speech, tmp_path, capsys):
    (tmp_path / "units.jsonl").write_text(json.dumps({"file": "a.wav", "units": [0, NUM_UNITS - 1]}) + "\n")
    table = tmp_path / "table"
    table.mkdir()
    save_units(open_units(str(tmp_path / "units.jsonl"), frame_rate=50), table)
    flags = ["--input", "speech", "--speech_dir", str(speech), "--quantizer", str(table)]
    assert main(["finetune", str(base), "--task", str(task), *flags, "--output_dir", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "holds a table of the units of a run's own utterances, which has none of a task's speech" in error
    assert len(error.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_prompts_are_not_continued_in_units_of_a_function(finetuned, base, tmp_path, capsys):
    """`evoslm continue` says so in a sentence, and so does what `evoslm demo` loads of a run."""
    from evoslm.spaces.speech_continuation.catalog import read_catalog
    from evoslm.spaces.speech_continuation.shelf import PipelineShelf

    _, quantizer = finetuned
    said = f"The units of {quantizer} are made by a function or a table, and prompts are continued in those of a"
    assert main(["continue", str(base), "--prompt", "A film.", "--quantizer", str(quantizer), "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1
    run = tmp_path / "run"
    model = make_model(run / "models" / "speech_dedup" / "seed-0", "speech_dedup")
    write_json(run / "study.json", {})
    own = save_function(run / "units" / "speech_units" / "model")
    (entry,) = read_catalog(run).models
    assert entry.source == str(model)
    with pytest.raises(ValueError, match=f"The units of {own} are made by a function or a table"):
        PipelineShelf("cpu").get(entry)
