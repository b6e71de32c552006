"""What was fine-tuned is released with its base's id on the Hub in the place of a folder."""

import json
import shutil

import pytest
import torch
from peft import PeftModel
from tiny_slu import make_model, make_quantizer, sentiment_rows, write_sentiment
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from evoslm.models.files import write_json
from evoslm.models.slu.adapters import add_lora, describe_base, load_base, load_finetuned, save_adapter
from evoslm.models.slu.configuration_slu import SluConfig
from evoslm.models.speech_units import SpeechUnitModel
from evoslm.models.speech_units.identity import quantizer_hash
from evoslm.training.cli import main
from evoslm.training.release import ReleaseNames, ReleaseRepository
from evoslm.training.release.files import check_prepared
from evoslm.training.release.metric_cards import CardExamples
from evoslm.training.release.models.adapters import prepare_adapters
from evoslm.training.release.models.ties import UnitTies

NAMES = ReleaseNames("user", "tiny")


def make_finetuning(folder, base, name, quantizer=None, method="lora", kind="classification", modality="speech_units"):
    """What `evoslm finetune` leaves behind, of one seed, untrained."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    own = {} if quantizer is None else {"trained_on": "speech", "quantizer": str(quantizer)}
    config = SluConfig("moods", kind, ("low", "high"), describe_base(name, base), modality, **own)
    if kind == "entities":
        config.answers.grow(tokenizer)
    model, target = load_base(base, config, tokenizer), folder / "models" / "seed-0"
    if method == "lora":
        save_adapter(add_lora(model, config, [], 4, 8, 0.0), tokenizer, config, target)
    else:
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
        config.save(target)
    write_json(target / "training.json", {})
    write_json(folder / "results.json", {"seeds": [0], "task": {"name": "moods", "sizes": {"train": 1}}, "tests": []})
    return folder


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetuned")
    base = make_model(folder / "base", "text_bpe")
    command = ["finetune", str(base), "--task", str(write_sentiment(folder, 60)), "--output_dir", str(folder / "out")]
    assert main([*command, "--epochs", "1", "--training_seeds", "0", "1", "--num_proc", "1"]) == 0
    return folder


def test_an_adapter_names_its_base_on_the_hub_and_loads_on_it(finetuned, tmp_path):
    base = ReleaseRepository(
        "user/evoslm-tiny-text-bpe", "model", tmp_path / "none", (("seed-1", finetuned / "base"),)
    )
    (tmp_path / "none").mkdir()
    (adapter,) = prepare_adapters([finetuned / "out"], NAMES, tmp_path / "out", [], [base], "apache-2.0")
    assert adapter.name == "user/evoslm-tiny-text-bpe-sentiment-text"
    assert [name for name, _ in adapter.branches] == ["main", "seed-1"]
    check_prepared([adapter], finetuned)
    config = json.loads((adapter.folder / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == (base.name, "seed-1")
    card = (adapter.folder / "README.md").read_text()
    assert "base_model:\n- user/evoslm-tiny-text-bpe" in card and "macro-F1" in card and 'revision="seed-1"' in card
    tokenizer = AutoTokenizer.from_pretrained(adapter.folder)
    loaded = AutoModelForSequenceClassification.from_pretrained(finetuned / "base", num_labels=2)
    loaded.config.pad_token_id = tokenizer.pad_token_id
    model = PeftModel.from_pretrained(loaded, adapter.folder).eval()
    own, _, _ = load_finetuned(finetuned / "out" / "models" / "seed-0")
    ids = tokenizer(sentiment_rows(1)[0][0], return_tensors="pt").input_ids
    assert torch.equal(model(input_ids=ids).logits, own(input_ids=ids).logits)
    answered, _, _ = load_finetuned(adapter.folder, base_model=finetuned / "base")
    assert torch.equal(answered(input_ids=ids).logits, own(input_ids=ids).logits)


def test_a_base_that_nobody_could_find_is_refused(finetuned, tmp_path):
    with pytest.raises(ValueError, match="which is not in this release"):
        prepare_adapters([finetuned / "out"], NAMES, tmp_path / "out", [], [], "apache-2.0")
    (tmp_path / "half" / "models").mkdir(parents=True)
    with pytest.raises(ValueError, match="let `evoslm finetune` finish"):
        prepare_adapters([tmp_path / "half"], NAMES, tmp_path / "out", [], [], "apache-2.0")


def test_an_adapter_is_of_its_bases_units(tmp_path):
    quantizer, base = make_quantizer(tmp_path / "quantizer"), make_model(tmp_path / "base", "speech_units")
    own = quantizer_hash(SpeechUnitModel.from_pretrained(quantizer))
    config = AutoConfig.from_pretrained(base)
    config.update({"unit_quantizer_hash": own, "unit_quantizer": "user/units-one-voice"})
    config.save_pretrained(base)
    models = [ReleaseRepository("user/evoslm-tiny-speech-units-one-voice", "model", base)]
    units = [UnitTies("0" * 16, "user/units"), UnitTies(own, "user/units-one-voice")]

    def prepare(name, source, base_models=models):
        (made,) = prepare_adapters([source], NAMES, tmp_path / name, units, base_models, "apache-2.0")
        published = SluConfig.from_pretrained(made.folder)
        assert (published.unit_quantizer_hash, published.quantizer) == (own, "user/units-one-voice")
        return (made.folder / "README.md").read_text()

    source = make_finetuning(tmp_path / "own", base, str(base), quantizer)
    card = prepare("out", source)
    assert (
        f"(`{own}`)" in card
        and "\nevoslm answer user/evoslm-tiny-" in card
        and " clip.wav\n" in card
        and "--text" not in card
    )
    assert "license: apache-2.0" in card
    # What was fine-tuned on text names them, too: its base may read both.
    prepare("of-text", make_finetuning(tmp_path / "text", base, str(base)))
    # A base of somebody else's repository has no config.json here: its units are those that were used.
    prepare("of-hub", make_finetuning(tmp_path / "hub", base, "somebody/units", quantizer), [])
    other = SpeechUnitModel.from_pretrained(quantizer)
    other.centroids.data.mul_(2)
    other.save_pretrained(tmp_path / "other")
    source = make_finetuning(tmp_path / "wrong", base, str(base), tmp_path / "other")
    with pytest.raises(ValueError, match=f"is of the speech units {quantizer_hash(other)} and user/.* of {own}"):
        prepare("refused", source)


def test_a_whole_model_of_somebody_elses_weights_has_no_licence_and_is_no_language_model(tmp_path):
    base = make_model(tmp_path / "base", "text_bpe")
    source = make_finetuning(
        tmp_path / "own", base, "somebody/text", method="full", kind="entities", modality="text_bpe"
    )
    (made,) = prepare_adapters([source], NAMES, tmp_path / "out", [], [], "apache-2.0")
    card = (made.folder / "README.md").read_text()
    assert "license: unknown" in card and f"\nevoslm answer {made.name} --text" in card
    assert made.name not in CardExamples.of(NAMES, [made]).modalities
    (made,) = prepare_adapters([source], NAMES, tmp_path / "stated", [], [], "mit", "mit")
    assert "license: mit" in (made.folder / "README.md").read_text()


def test_results_of_an_earlier_training_are_not_published(finetuned, tmp_path):
    base = ReleaseRepository("user/evoslm-tiny-text-bpe", "model", finetuned / "base")
    for number, (part, key, message) in enumerate(
        (("models", "fingerprint", "another model than"), ("predictions", "fingerprint", "no longer there"))
    ):
        source = shutil.copytree(finetuned / "out", tmp_path / f"source-{number}")
        record = source / part / "seed-1" / "stage.json"
        write_json(record, json.loads(record.read_text()) | {key: "0" * 16})
        with pytest.raises(ValueError, match=message):
            prepare_adapters([source], NAMES, tmp_path / f"out-{number}", [], [base], "apache-2.0")
