"""The machinery of a transcriber, on tiny random models: batches, rates, windows, precisions, mistakes."""

import numpy as np
import pytest
import soxr
import torch
from safetensors.torch import load_file
from speech_like import speak
from tiny_recognizers import save_ctc, save_sequence_to_sequence, save_whisper
from transformers import HubertConfig, HubertModel

from evoslm.models.transcriber import Hypothesis, Transcriber
from evoslm.models.transcriber.recognizer import Recognizer, without_loops
from evoslm.models.transcriber.transcriber import is_heard

RATE = 16_000
AUDIO = [speak(seed, seconds) for seed, seconds in enumerate((2.0, 0.7, 3.1, 1.4))]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recognizers")
    return {
        "whisper": save_whisper(folder / "whisper"),
        "ctc": save_ctc(folder / "ctc"),
        "ctc without masks": save_ctc(folder / "ctc_without_masks", has_mask=False),
        "speech2text": save_sequence_to_sequence(folder / "speech2text"),
    }


@pytest.fixture(scope="module")
def transcribers(folders):
    return {name: Transcriber.from_pretrained(folder, device="cpu") for name, folder in folders.items()}


class Echo(Recognizer):
    """Says how long each stretch is, in order of its loudest sample; counts the batches."""

    def __init__(self):
        super().__init__(RATE, 30.0)
        self.batches = []

    def recognize(self, waveforms, num_beams):
        self.batches.append([len(waveform) for waveform in waveforms])
        return [Hypothesis(f"{len(waveform) / RATE:.1f}") for waveform in waveforms]


@pytest.mark.parametrize("name", ["whisper", "ctc", "ctc without masks", "speech2text"])
def test_a_text_depends_on_its_own_sound_alone(transcribers, name):
    transcriber = transcribers[name]
    texts = transcriber.transcribe(AUDIO, batch_size=3)
    assert len(set(texts)) > 1 and all(texts)
    assert texts == [transcriber.transcribe([audio])[0] for audio in AUDIO]
    assert texts[::-1] == transcriber.transcribe(AUDIO[::-1], batch_size=2)


@pytest.mark.parametrize("name", ["whisper", "speech2text"])
def test_a_beam_is_searched_where_it_is_asked_for(transcribers, name):
    found = transcribers[name].transcribe(AUDIO[:2], num_beams=3)
    assert len(found) == 2 and found == transcribers[name].transcribe(AUDIO[:2], num_beams=3)


def test_beams_do_not_change_how_probable_it_is_that_nobody_speaks(transcribers):
    recognizer, waveforms = transcribers["whisper"].recognizer, [audio.astype(np.float32) / 2**15 for audio in AUDIO]
    greedy, searched = (recognizer.recognize(waveforms, num_beams) for num_beams in (1, 3))
    probabilities = [hypothesis.no_speech for hypothesis in greedy]
    assert len(set(probabilities)) == len(AUDIO)
    assert [hypothesis.no_speech for hypothesis in searched] == pytest.approx(probabilities, rel=1e-3)


def test_nothing_is_heard_in_silence_and_noise_by_any_model(transcribers):
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) / 10
    for transcriber in transcribers.values():
        assert transcriber.transcribe([np.zeros(RATE, np.int16), noise]) == ["", ""]


def test_what_a_model_takes_for_no_speech_is_left_out():
    assert is_heard(Hypothesis("yes")) and is_heard(Hypothesis("yes", 0.1))
    assert not is_heard(Hypothesis("you", 0.9))


def test_the_probability_of_no_speech_is_that_behind_the_first_token(transcribers):
    recognizer = transcribers["whisper"].recognizer
    waveform = AUDIO[0].astype(np.float32) / 2**15
    (hypothesis,) = recognizer.recognize([waveform], 1)
    features = recognizer.feature_extractor([waveform], sampling_rate=RATE, return_tensors="pt").input_features
    begin, no_speech = recognizer.prompt.ids[0], recognizer.prompt.no_speech
    with torch.no_grad():
        logits = recognizer.model(features, decoder_input_ids=torch.tensor([[begin]])).logits[0, 0]
    assert hypothesis.no_speech == pytest.approx(float(logits.softmax(0)[no_speech]), rel=1e-3)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_audio_of_another_rate_is_that_of_the_models_rate(transcribers, rate):
    given = soxr.resample(AUDIO[0].astype(np.float32) / 2**15, RATE, rate)
    back = soxr.resample(given, rate, RATE)
    transcriber = transcribers["whisper"]
    stereo = np.stack([given, given])
    assert transcriber.transcribe([given, stereo], rate) == transcriber.transcribe([back, back])
    assert transcriber.transcribe([given, back], [rate, RATE]) == transcriber.transcribe([back, back])


def test_long_audio_is_heard_in_order_and_batches_are_of_like_length():
    recognizer = Echo()
    long = np.concatenate([speak(seed, 25.0) for seed in range(3)])
    texts = Transcriber(recognizer, {}).transcribe([AUDIO[1], long, AUDIO[0]], batch_size=2)
    assert (texts[0], texts[2]) == ("0.7", "2.0")
    lengths = [float(text) for text in texts[1].split()]
    assert len(lengths) >= 3 and sum(lengths) == pytest.approx(75, abs=0.3) and max(lengths) <= 30
    assert recognizer.batches == sorted(recognizer.batches, key=max, reverse=True)
    assert sum(recognizer.batches, []) == sorted(sum(recognizer.batches, []), reverse=True)


def test_phrases_in_a_loop_are_said_once():
    assert without_loops([1, 2, 3]) == [1, 2, 3]
    assert without_loops([7, 7, 7, 7]) == [7, 7, 7, 7]
    assert without_loops([1, *[7] * 40]) == [1, 7]
    assert without_loops([1, *[2, 3, 4] * 9, 2, 3]) == [1, 2, 3, 4]
    assert without_loops([*[2, 3] * 6, 5, *[4] * 6, 6]) == [2, 3, 5, 4, 6]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_any_precision_are_computed_in_the_one_asked_for(tmp_path, dtype):
    folder = save_whisper(tmp_path, dtype=dtype)
    in_fp32 = Transcriber.from_pretrained(folder, device="cpu")
    assert in_fp32.recognizer.model.dtype == torch.float32
    in_bf16 = Transcriber.from_pretrained(folder, device="cpu", precision="bf16")
    assert in_bf16.recognizer.model.dtype == torch.bfloat16 and in_bf16.source["precision"] == "bf16"
    assert all(in_fp32.transcribe(AUDIO[:2]) + in_bf16.transcribe(AUDIO[:2]))


def test_language_and_task_are_fixed_and_times_are_not_asked_for(tmp_path, transcribers):
    english = transcribers["whisper"].recognizer.prompt
    ids = english._tokenizer.convert_tokens_to_ids
    assert english.ids == ids(["<|startoftranscript|>", "<|notimestamps|>"])
    folder = save_whisper(tmp_path, is_multilingual=True)
    for language in (None, "en", "de"):
        prompt = Transcriber.from_pretrained(folder, language=language, device="cpu").recognizer.prompt
        expected = ["<|startoftranscript|>", f"<|{language or 'en'}|>", "<|transcribe|>", "<|notimestamps|>"]
        assert prompt.ids == ids(expected)
    with pytest.raises(ValueError, match="does not know the language 'translate'; give its code"):
        Transcriber.from_pretrained(folder, language="translate")


def test_beams_are_not_asked_of_models_without_a_search(transcribers):
    with pytest.raises(ValueError, match=r"ctc takes the likeliest label .* leave num_beams \(3\) out"):
        transcribers["ctc"].transcribe(AUDIO[:1], num_beams=3)


def test_a_language_is_not_asked_of_models_that_have_one(folders):
    Transcriber.from_pretrained(folders["whisper"], language="en", device="cpu")
    with pytest.raises(ValueError, match="whisper knows English only; leave the language 'de' out"):
        Transcriber.from_pretrained(folders["whisper"], language="de")
    with pytest.raises(ValueError, match="ctc is of one language .* leave the language 'de' out"):
        Transcriber.from_pretrained(folders["ctc"], language="de")


def test_a_folder_is_named_without_its_path(transcribers):
    expected = {"model": "whisper", "revision": None, "language": None, "engine": "transformers", "precision": "fp32"}
    assert transcribers["whisper"].source == expected


def test_pickled_weights_are_not_read(tmp_path):
    folder = save_whisper(tmp_path)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    for engine in ("transformers", "ctranslate2"):
        if engine == "ctranslate2":
            pytest.importorskip("ctranslate2")
        with pytest.raises(ValueError, match="has no weights in safetensors"):
            Transcriber.from_pretrained(folder, engine=engine)


def test_models_that_recognise_no_speech_are_named(tmp_path, folders):
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    HubertModel(HubertConfig(conv_dim=(4,) * 7, num_conv_pos_embedding_groups=2, **shape)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"\(HubertModel\) was not trained to recognise speech; give a Whisper"):
        Transcriber.from_pretrained(tmp_path)
    for name in ("tokenizer.json", "preprocessor_config.json"):
        folder = save_whisper(tmp_path / name)
        (folder / name).unlink()
        with pytest.raises(ValueError, match="lacks a feature extractor or a tokenizer|has a tokenizer without"):
            Transcriber.from_pretrained(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"engine": "espeak"}, "The engine is 'espeak'; choose from transformers, ctranslate2"),
        ({"device": "tpu"}, "The device is 'tpu'; choose from auto, cpu, cuda"),
        ({"precision": "int8"}, "The precision is 'int8'; choose from fp32, bf16, fp16"),
        ({"revision": "main"}, "lies on this machine and has no revision 'main'"),
    ],
)
def test_arguments_that_cannot_be_are_named(folders, arguments, message):
    with pytest.raises(ValueError, match=message):
        Transcriber.from_pretrained(folders["whisper"], **arguments)


def test_waveforms_that_cannot_be_heard_are_named(transcribers):
    transcribe = transcribers["whisper"].transcribe
    assert transcribe([]) == []
    with pytest.raises(ValueError, match="are one waveform; give a list"):
        transcribe(AUDIO[0])
    with pytest.raises(ValueError, match="Audio 1 "):
        transcribe([AUDIO[0], np.zeros(0, np.float32)])
    with pytest.raises(ValueError, match="4 waveforms, but 1 sampling rates"):
        transcribe(AUDIO, [RATE])


class TestCTranslate2:
    """The other engine, where it is installed."""

    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path, monkeypatch):
        pytest.importorskip("ctranslate2")
        monkeypatch.setenv("EVOSLM_CACHE", str(tmp_path / "cache"))

    def test_it_hears_what_transformers_hears(self, folders, transcribers, tmp_path):
        other = Transcriber.from_pretrained(folders["whisper"], engine="ctranslate2", device="cpu")
        assert other.source["engine"] == "ctranslate2"
        assert other.transcribe(AUDIO) == transcribers["whisper"].transcribe(AUDIO)
        waveform = AUDIO[0].astype(np.float32) / 2**15
        (mine,), (theirs,) = (one.recognizer.recognize([waveform], 1) for one in (transcribers["whisper"], other))
        assert theirs.no_speech == pytest.approx(mine.no_speech, rel=0.01, abs=1e-6)

    def test_a_model_is_converted_once_and_read_converted(self, folders, tmp_path):
        Transcriber.from_pretrained(folders["whisper"], engine="ctranslate2", device="cpu")
        (converted,) = (tmp_path / "cache" / "ctranslate2").iterdir()
        before = (converted / "model.bin").stat().st_mtime_ns
        Transcriber.from_pretrained(folders["whisper"], engine="ctranslate2", device="cpu")
        assert (converted / "model.bin").stat().st_mtime_ns == before
        direct = Transcriber.from_pretrained(converted, engine="ctranslate2", device="cpu")
        assert all(direct.transcribe(AUDIO[:1]))

    def test_other_models_are_named(self, folders):
        with pytest.raises(ValueError, match="ctc .*tokenizer.json|ctc cannot be converted|ctc is no Whisper"):
            Transcriber.from_pretrained(folders["ctc"], engine="ctranslate2")


def test_an_engine_that_is_not_installed_is_named(folders, monkeypatch):
    monkeypatch.setattr("evoslm.models.transcriber.ctranslate2_engine.find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"CTranslate2 is not installed; run `pip install \"evoslm\[faster-whisper\]\"`"
    ):
        Transcriber.from_pretrained(folders["whisper"], engine="ctranslate2")
