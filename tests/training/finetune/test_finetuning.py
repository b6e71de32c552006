"""`evoslm finetune`: a tiny separable task is learned above the control, by LoRA and by all weights, of any input."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tiny_slu import (
    make_model,
    make_quantizer,
    speak_tones,
    tone,
    write_entities,
    write_sentiment,
)
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, TrainingArguments

from evoslm.datasets_scripts.slu import SluExample, read_task, spoken_text
from evoslm.models.files import read_json
from evoslm.models.slu import SluPipeline
from evoslm.models.slu.configuration_slu import SLU_CONFIG_FILE, BaseModel, SluConfig
from evoslm.models.speech_units import SpeechUnitModel
from evoslm.models.speech_units.identity import quantizer_hash
from evoslm.training.cli import main
from evoslm.training.finetune.speech import read_units
from evoslm.training.finetune.stages import model_stage
from evoslm.training.finetune.tasks import answers_of
from evoslm.training.finetune.training import FinetuneSettings, Rows

COMMON = ("--num_proc", "1", "--device", "cpu", "--batch_size", "8")


def finetune(model, task, output_dir, *flags):
    """Run the command and return `results.json`."""
    assert main(["finetune", str(model), "--task", str(task), "--output_dir", str(output_dir), *COMMON, *flags]) == 0
    return read_json(output_dir / "results.json")


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("text") / "base", "text_bpe")


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory):
    return write_sentiment(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="module")
def spoken(tmp_path_factory, sentiment):
    """A task spoken in tones, its quantizer, and a joint model."""
    folder = tmp_path_factory.mktemp("speech")
    speech = speak_tones(folder / "tones", read_task(str(sentiment)))
    return speech, make_quantizer(folder / "quantizer"), make_model(folder / "base", "joint")


@pytest.fixture(scope="module")
def answered(tmp_path_factory, spoken, sentiment):
    """A joint model that was fine-tuned on speech and tested on everything, and its results."""
    speech, quantizer, base = spoken
    folder = tmp_path_factory.mktemp("answered") / "out"
    flags = ("--input", "speech", "--speech_dir", str(speech), "--quantizer", str(quantizer), "--epochs", "4")
    # What is named twice is asked once.
    flags += ("--test_input", "speech", "text", "speech", "--snr", "20", "20", "0", "--training_seeds", "0", "0")
    return folder, finetune(base, sentiment, folder, *flags, "--units_dir", str(folder.parent / "units"))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_classes_of_texts_are_learned_above_the_control(text_model, sentiment, tmp_path, method):
    before = files_of(text_model)
    results = finetune(
        text_model, sentiment, tmp_path / "out", "--method", method, "--epochs", "8", "--learning_rate", "5e-3"
    )
    (test,) = results["tests"]
    f1 = test["measures"]["macro_f1"]
    assert f1["mean"] > 0.9 and f1["difference"]["points_low"] > 10
    assert set(test["labels"]) == {"negative", "positive"} and test["unseen_labels"] == {}
    assert files_of(text_model) == before
    (trained,) = results["training"]
    assert (trained["trained_parameters"] == trained["parameters"]) == (method == "full")
    assert trained["kept_epoch"] == 1 + trained["validation_losses"].index(min(trained["validation_losses"]))
    model, text = tmp_path / "out" / "models" / "seed-0", spoken_text("anna likes it")
    told = SluPipeline.from_pretrained(model, write_text=spoken_text)(text=text)["scores"]
    ids = AutoTokenizer.from_pretrained(model)(text, return_tensors="pt")  # which reads what the model was trained on
    assert ids["input_ids"][0, -1] == AutoTokenizer.from_pretrained(model).eos_token_id
    if method == "full":
        plain = AutoModelForSequenceClassification.from_pretrained(model)
        scores = plain(**ids).logits.double().softmax(-1)[0].tolist()
        assert dict(zip(("negative", "positive"), scores)) == pytest.approx(told, abs=1e-6)
    made_with = ("seeds", "configuration", "precision", "versions", "device", "commit", "base", "task")
    assert all(name in results for name in made_with) and "peft" in results["versions"]
    there = {label: scores["n_references"] for label, scores in test["labels"].items()}
    assert results["task"]["sizes"]["test"] == there["negative"] + there["positive"]
    report = (tmp_path / "out" / "report.md").read_text()
    assert "| text | " in report and "another utterance's" in report
    # Words alone tell the class: which rule a model has to beat is said, and by how much it does.
    words = results["rules"]["words"]
    assert list(results["rules"]) == ["words", "words and pairs of words"]
    assert words["measures"]["accuracy"]["mean"] > 0.9
    own = test["measures"]["macro_f1"]["mean"] - words["measures"]["macro_f1"]["mean"]
    assert words["from_rule"]["macro_f1"]["points"] == pytest.approx(100 * own)
    assert "over which words an example has" in report and "\n| words and pairs of words | " in report
    if method == "full":
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "out" / "models" / "seed-0")


@pytest.mark.parametrize("kind", ["classes", "entities"])
def test_the_same_model_from_scratch_stands_beside_it(text_model, sentiment, tmp_path, kind):
    task = sentiment if kind == "classes" else write_entities(tmp_path)
    out, flags = (
        tmp_path / "out",
        ("--method", "full", "--epochs", "2", "--training_seeds", "0", "1", "--from_scratch"),
    )
    results = finetune(text_model, task, out, *flags)
    found, (test,) = results["from_scratch"], results["tests"]
    assert len(found["training"]) == 2 and list(found["tests"]) == ["text"]
    name = list(test["measures"])[0]
    more = 100 * (test["measures"][name]["mean"] - found["tests"]["text"]["measures"][name]["mean"])
    assert found["tests"]["text"]["pretrained"][name]["points"] == pytest.approx(more)
    for seed, (own, new) in enumerate(zip(results["training"], found["training"])):
        assert own["parameters"] == new["parameters"] and own["updates"] == new["updates"]
        assert own["train_losses"] != new["train_losses"]
        for folder in (out, out / "from_scratch"):
            assert (folder / "models" / f"seed-{seed}" / "slu_config.json").is_file()
    report = (out / "report.md").read_text()
    assert "what pre-training is worth" in report and "| from scratch, tested on |" in report
    # Those that began from pre-trained weights are what they are without the others, which are not made twice.
    weights = files_of(out / "models" / "seed-0")["model.safetensors"]
    finetune(text_model, task, tmp_path / "alone", *flags[:-1])
    assert files_of(tmp_path / "alone" / "models" / "seed-0")["model.safetensors"] == weights
    assert "from scratch" not in (tmp_path / "alone" / "report.md").read_text()
    made = (out / "from_scratch" / "models" / "seed-1" / "stage.json").stat().st_mtime_ns
    assert finetune(text_model, task, out, *flags)["from_scratch"] == found
    assert (out / "from_scratch" / "models" / "seed-1" / "stage.json").stat().st_mtime_ns == made


def test_a_lora_beside_new_weights_is_refused(text_model, sentiment, tmp_path, capsys):
    flags = ["--task", str(sentiment), "--output_dir", str(tmp_path / "out"), "--from_scratch", *COMMON]
    assert main(["finetune", str(text_model), *flags]) == 2
    assert "--method full" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_seeds_have_models_of_their_own_and_what_is_finished_is_not_redone(text_model, sentiment, tmp_path, capsys):
    out, flags = tmp_path / "out", ["--epochs", "1", "--training_seeds", "0", "1"]
    results = finetune(text_model, sentiment, out, *flags)
    assert results["seeds"] == [0, 1] and len(results["tests"][0]["measures"]["macro_f1"]["by_seed"]) == 2
    weights = [files_of(out / "models" / f"seed-{seed}")["adapter_model.safetensors"] for seed in (0, 1)]
    assert weights[0] != weights[1]
    stages = [out / "models" / "seed-0" / "stage.json", out / "predictions" / "seed-1" / "stage.json"]
    times = [path.stat().st_mtime_ns for path in stages]
    again = finetune(text_model, sentiment, out, *flags)
    assert [path.stat().st_mtime_ns for path in stages] == times and again["tests"] == results["tests"]
    command = ["finetune", str(text_model), "--task", str(sentiment), "--output_dir", str(out), *COMMON]
    assert main([*command, "--epochs", "2"]) == 2
    assert "settings.epochs (1 there, 2 now)" in capsys.readouterr().err


def test_a_process_fine_tunes_on_one_gpu_however_many_it_sees(text_model, sentiment, tmp_path, monkeypatch):
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda arguments: 2))
    monkeypatch.setattr(torch.nn.DataParallel, "__init__", lambda *_: pytest.fail("batches were shared out"))
    finetune(text_model, sentiment, tmp_path / "out", "--epochs", "1")


@pytest.mark.parametrize("modality", ["text_bpe", "joint"])
def test_entities_of_texts_are_generated(tmp_path, modality):
    base, task = make_model(tmp_path / "base", modality), write_entities(tmp_path)
    results = finetune(base, task, tmp_path / "out", "--epochs", "15", "--learning_rate", "1e-2", "--merge")
    (test,) = results["tests"]
    assert test["measures"]["f1"]["mean"] > 0.7
    assert test["measures"]["f1"]["difference"]["points_low"] > 10
    assert set(test["labels"]) >= {"PERSON", "PLACE"} and {"empty", "malformed"} <= set(test)
    assert results["rules"]["phrases of training"]["measures"]["f1"]["mean"] > 0.9
    # What a plain causal language model says without any code of ours.
    merged = tmp_path / "out" / "models" / "seed-0" / "merged"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(merged), AutoTokenizer.from_pretrained(merged)
    first = "<text> " if modality == "joint" else ""
    prompt = tokenizer(f"{first}Anna sees the garden.<entities>", return_tensors="pt")
    generated = model.generate(**prompt, max_new_tokens=20, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    pipeline = SluPipeline.from_pretrained(tmp_path / "out" / "models" / "seed-0", write_text=spoken_text)
    said = pipeline(text="Anna sees the garden.")["entities"]
    assert pipeline(text="anna sees the garden")["entities"] == said
    ends = generated.tolist().index(model.config.eos_token_id)
    assert pipeline.config.answers.read(tokenizer, generated[:ends].tolist()) == said


def test_a_text_is_read_as_those_of_the_training_were_written(text_model, sentiment, tmp_path, capsys):
    finetune(text_model, sentiment, tmp_path / "out", "--epochs", "1")
    model = tmp_path / "out" / "models" / "seed-0"
    texts = ["Two cold scenes and a dull ending.", "2 cold scenes & a dull ending"]
    assert texts[0] == spoken_text(texts[1])
    capsys.readouterr()
    assert main(["answer", str(model), "--text", *texts, "--device", "cpu"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["input"], second["input"]) == tuple(texts) and first["scores"] == second["scores"]
    assert main(["answer", str(model), "--text", "...", "--device", "cpu"]) == 2
    assert "There is nothing to read in the text '...'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="does not know how texts were written for the training"):
        SluPipeline.from_pretrained(model)(text=texts[0])


def test_a_joint_model_is_tested_on_speech_on_text_and_in_noise(answered):
    folder, results = answered
    assert results["seeds"] == [0] and not (folder / "units").exists()
    assert {path.name for path in (folder.parent / "units").iterdir()} >= {"clean", "noisy"}
    by_name = {test["name"]: test for test in results["tests"]}
    assert list(by_name) == [
        "speech",
        *(f"speech, {noise} at {snr} dB" for noise in ("white noise", "babble") for snr in (20, 0)),
        "text",
    ]
    f1 = by_name["speech"]["measures"]["macro_f1"]
    assert f1["mean"] > 0.9 and f1["difference"]["points_low"] > 10
    units = results["rules"]["units"]["measures"]["accuracy"]["mean"]
    assert list(results["rules"]) == ["units", "units and pairs of units"] and units > 0.9
    # Of text it has seen nothing that would help: pitch is no word.
    assert by_name["text"]["measures"]["macro_f1"]["mean"] < 0.9


def test_the_test_split_is_heard_in_other_speech_and_what_that_costs_is_said(spoken, sentiment, tmp_path, capsys):
    """The other reader reads half of the examples, keeps silence around them, and every class at the other's pitch."""
    speech, quantizer, base = spoken
    task = read_task(str(sentiment))
    other = {"negative": "positive", "positive": "negative"}
    read = [replace(example, label=other[example.label]) for example in task.splits["test"][::2]]
    reader = speak_tones(tmp_path / "reader", replace(task, splits={"test": read}))
    flags = ("--input", "speech", "--speech_dir", str(speech), "--quantizer", str(quantizer), "--epochs", "4")
    results = finetune(base, sentiment, tmp_path / "out", *flags, "--test_speech", "espeak", str(reader))
    clean, espeak, heard = results["tests"]
    assert [test["name"] for test in results["tests"]] == ["speech", "speech, espeak", "speech, reader"]
    assert clean["examples"] == espeak["examples"] == len(task.splits["test"]) and heard["examples"] == len(read)
    assert "from_clean" not in clean and clean["measures"]["macro_f1"]["mean"] > 0.9
    cost = heard["from_clean"]["accuracy"]
    assert heard["measures"]["accuracy"]["mean"] < 0.1 and cost["points_high"] < -80
    assert espeak["from_clean"]["accuracy"]["points_high"] < 0  # words instead of tones
    report = (tmp_path / "out" / "report.md").read_text()
    assert f"speech, reader has {len(read)} of the {clean['examples']} examples" in report
    units = read_units(tmp_path / "out" / "units" / "heard" / "reader", "test")
    assert set(units) == {example.id for example in read}

    def error_of(*sources):
        capsys.readouterr()
        command = ["finetune", str(base), "--task", str(sentiment), "--output_dir", str(tmp_path / "no"), *COMMON]
        assert main([*command, *flags, "--test_speech", *map(str, sources)]) == 2
        return capsys.readouterr().err.splitlines()[-1]

    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "reader").symlink_to(reader)
    assert "would both be called reader; rename one" in error_of(reader, tmp_path / "twin" / "reader")
    strangers = [replace(example, id=f"x{example.id}") for example in read]
    elsewhere = speak_tones(tmp_path / "strangers", replace(task, splits={"test": strangers}))
    assert "None of the 24 examples of the test split" in error_of(elsewhere)
    assert not (tmp_path / "no").exists()
    again = error_of(speech)
    assert "says the test split as" in again and "nothing to compare" in again
    assert not (tmp_path / "no" / "models").exists()
    assert main(["finetune", str(base), "--task", str(sentiment), "--output_dir", "x", "--test_speech", "espeak"]) == 2
    assert "--test_speech is other speech, and only text is tested" in capsys.readouterr().err


def test_an_adapter_answers_on_a_wav_file(answered, tmp_path, capsys):
    import soundfile

    folder, _ = answered
    rng = np.random.default_rng(5)
    for label, pitch in (("negative", 155), ("positive", 590)):
        soundfile.write(tmp_path / f"{label}.wav", tone(pitch, rng), 16_000)
    model = folder / "models" / "seed-0"
    clips = [str(tmp_path / f"{label}.wav") for label in ("negative", "positive")]
    assert main(["answer", str(model), *clips, "--device", "cpu"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["label"] for answer in answers] == ["negative", "positive"]
    pipeline = SluPipeline.from_pretrained(model)
    assert pipeline(audio=clips[0])["label"] == "negative"
    # However a recording is given, its units are the same.
    stored, _ = soundfile.read(clips[0], dtype="int16")
    for audio in (clips[0], stored, stored / 2**15, (stored / 2**15).astype("float32")):
        assert np.array_equal(pipeline.encode(audio), pipeline.encode(Path(clips[0])))
    spoken = SluPipeline.from_pretrained(model).quantizer.units([stored / 2**15])[0]
    assert np.array_equal(spoken, pipeline.encode(clips[0]))
    assert main(["answer", str(model), str(tmp_path / "none.wav"), "--device", "cpu"]) == 2
    assert "There is no recording" in capsys.readouterr().err


def test_an_adapter_answers_on_a_reader_by_the_documented_lines(answered, shared_data, capsys):
    folder, _ = answered
    model, clip = folder / "models" / "seed-0", shared_data / "ljspeech" / "flac" / "LJ001-0001.flac"
    assert (model / "adapter_config.json").is_file()
    assert main(["answer", str(model), str(clip), "--device", "cpu"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    answer = SluPipeline.from_pretrained(model)(audio=str(clip))
    assert json.loads(line)["label"] == answer["label"]
    assert json.loads(line)["scores"] == pytest.approx(answer["scores"], abs=1e-5)
    assert set(answer["scores"]) == {"negative", "positive"} and sum(answer["scores"].values()) == pytest.approx(1)


def test_another_quantizer_than_the_models_is_refused(answered, spoken, sentiment, tmp_path, capsys):
    folder, _ = answered
    speech, quantizer, base = spoken
    model = folder / "models" / "seed-0"
    own = quantizer_hash(SpeechUnitModel.from_pretrained(quantizer))
    assert SluConfig.from_pretrained(model).unit_quantizer_hash == own
    other = SpeechUnitModel.from_pretrained(quantizer)
    other.centroids.data.mul_(2)
    other.save_pretrained(tmp_path / "other")
    message = f"is of the speech units {own} and {tmp_path / 'other'} of {quantizer_hash(other)}"
    with pytest.raises(ValueError, match=message):
        SluPipeline.from_pretrained(model, quantizer=tmp_path / "other")
    own_one = SluPipeline.from_pretrained(model)
    moved = SluPipeline(own_one.model, own_one.tokenizer, own_one.config, str(tmp_path / "other"))
    with pytest.raises(ValueError, match=message):
        moved.encode(np.zeros(8_000, np.float32))
    released = AutoModelForCausalLM.from_pretrained(base)
    released.config.unit_quantizer_hash = own
    released.save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "base")
    command = ["finetune", str(tmp_path / "base"), "--task", str(sentiment), "--output_dir", str(tmp_path / "out")]
    flags = ["--input", "speech", "--speech_dir", str(speech), "--quantizer", str(tmp_path / "other")]
    assert main([*command, *COMMON, *flags]) == 2
    assert f"is of the speech units {own}" in capsys.readouterr().err


def test_entities_are_written_by_a_model_that_had_no_letters(tmp_path):
    """The speech is the project's synthesis; that so small a model hears nothing in it is not the point."""
    base, task = (
        make_model(tmp_path / "base", "speech_units", max_position_embeddings=512),
        write_entities(tmp_path, 60),
    )
    quantizer = make_quantizer(tmp_path / "quantizer")
    flags = ("--input", "speech", "--quantizer", str(quantizer), "--epochs", "2", "--learning_rate", "2e-2")
    results = finetune(base, task, tmp_path / "out", *flags)
    assert results["training"][0]["new_tokens"] > 10 and list(results["rules"]) == ["the same for all"]
    said = SluPipeline.from_pretrained(tmp_path / "out" / "models" / "seed-0")
    # The project's synthesis leaves 0.1 s of silence at either end, and so is a recording cut.
    speech, silence = tone(300, np.random.default_rng(0)), np.zeros(16_000, np.int16)
    long, short = (np.concatenate([edge, speech, edge]) for edge in (silence, silence[:1_600]))
    assert said.encode(long).tolist() == said.encode(short).tolist() and len(said.encode(silence)) == 50
    torch.manual_seed(0)
    audio = (0.1 * torch.randn(16_000)).numpy()
    assert isinstance(said(audio=audio)["entities"], str)
    assert results["tests"][0]["labels"]["PERSON"]["n_references"] > 0


def test_labels_of_the_test_split_that_were_never_trained_are_counted(text_model, tmp_path):
    rows = [json.loads(line) for line in write_sentiment(tmp_path, 60).read_text().splitlines()]
    task = tmp_path / "neutral"
    task.mkdir()
    for number in (45, 55, 56):
        rows[number]["label"] = "neutral"
    for split, part in (("train", rows[:40]), ("validation", rows[40:50]), ("test", rows[50:])):
        (task / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    results = finetune(text_model, task, tmp_path / "out", "--epochs", "1")
    (test,) = results["tests"]
    assert test["unseen_labels"] == {"neutral": 2} and test["labels"]["neutral"]["recall"] == 0
    assert "no model can say: neutral (2)" in (tmp_path / "out" / "report.md").read_text()


def test_what_was_made_before_a_class_was_told_at_the_end_reads_as_it_did(tmp_path):
    config = SluConfig("t", "entities", ("low",), BaseModel("base", "w", "v"), "text_bpe")
    settings = FinetuneSettings("full", 0, 1, 8, 1e-3, 0.0, 8, 16.0, 0.0, "fp32", False)
    made_of = [
        model_stage(tmp_path, each, Rows([], []), Rows([], []), settings).configuration["slu"]
        for each in (config, replace(config, kind="classification", reads_end=True))
    ]
    assert "reads_end" not in made_of[0] and made_of[1]["reads_end"] is True
    config.save(tmp_path)
    old = read_json(tmp_path / SLU_CONFIG_FILE)
    del old["reads_end"]
    (tmp_path / SLU_CONFIG_FILE).write_text(json.dumps(old), encoding="utf-8")
    assert SluConfig.from_pretrained(tmp_path) == config


def test_entities_of_other_labels_are_not_learned():
    examples = [SluExample("0", "Anna met Ben today.", entities=(("PERSON", "anna"), ("WHEN", "today")))]
    assert answers_of("entities", ("PERSON",), examples) == [[["PERSON", "anna"]]]


def test_what_cannot_be_done_is_said_in_one_sentence(text_model, sentiment, spoken, tmp_path, capsys):
    speech, quantizer, joint = spoken
    small = make_model(tmp_path / "small", "speech_units")

    def error_of(model, *flags, task=sentiment):
        command = ["finetune", str(model), "--task", str(task), "--output_dir", str(tmp_path / "out"), *COMMON]
        assert main([*command, *flags]) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        return error

    assert "reads text and no speech; take a joint model" in error_of(text_model, "--input", "speech")
    assert "reads speech and no text" in error_of(small)
    assert "give the quantizer's folder (--quantizer)" in error_of(joint, "--input", "speech")
    assert "holds no quantizer" in error_of(joint, "--input", "speech", "--quantizer", str(tmp_path))
    assert "--snr is noise in speech, and only text is tested" in error_of(joint, "--snr", "10")
    assert "There is no model" in error_of("nobody/nothing-at-all")
    few = tmp_path / "few"
    few.mkdir()
    rows = sentiment.read_text().splitlines(keepends=True)
    for split, part in (("train", rows[:40]), ("validation", rows[40:45]), ("test", rows[45:46])):
        (few / f"{split}.jsonl").write_text("".join(part))
    assert "The test split has one example; the control needs" in error_of(text_model, task=few)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("train", "test"):
        shard = pq.read_table(speech / f"{name}-00000-of-00001.parquet")
        renamed = pa.array([f"x{row}" for row in shard["id"].to_pylist()])
        pq.write_table(shard.set_column(0, "id", renamed), elsewhere / f"{name}-00000-of-00001.parquet")
    flags = ("--input", "speech", "--quantizer", str(quantizer), "--speech_dir", str(elsewhere))
    assert "No example of the train split, " in error_of(joint, *flags)
    assert "There is no task 'x'" in error_of(text_model, task="x")


def test_a_quantizer_with_more_units_than_the_model_has_is_refused(spoken, sentiment, tmp_path, capsys):
    from evoslm.models.speech_units import SpeechUnitModel

    _, quantizer, joint = spoken
    larger = SpeechUnitModel.from_pretrained(quantizer)
    config = type(larger.config)(**larger.config.to_dict() | {"num_units": 40})
    SpeechUnitModel(config).save_pretrained(tmp_path / "larger")
    flags = ["--output_dir", str(tmp_path / "out"), "--input", "speech", "--quantizer", str(tmp_path / "larger")]
    assert main(["finetune", str(joint), "--task", str(sentiment), *flags, *COMMON]) == 2
    assert "has no token for the last of them" in capsys.readouterr().err
