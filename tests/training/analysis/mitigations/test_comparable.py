"""Runs that may not stand in one table are refused, by what differs."""

import json
import shutil

import pytest

from evoslm.training.analysis.mitigations.comparable import check_comparable
from evoslm.training.analysis.mitigations.rows import open_others
from evoslm.training.run.folder import Run

KEPT = ("study.json", "corpus/passages/stage.json", "corpus/utterances/stage.json")
KEPT += ("pairs/text/stage.json", "pairs/rendered/stage.json")


@pytest.fixture
def other(finished_run, tmp_path):
    """The records of the tiny study, which a test may change."""
    for name in KEPT:
        (tmp_path / "other" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(finished_run / name, tmp_path / "other" / name)
    return tmp_path / "other"


def change(path, *keys, value):
    content = json.loads(path.read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(content))


def test_the_same_speech_and_pairs_may(finished_run, other):
    check_comparable(Run(finished_run), Run(other))
    change(other / "pairs/rendered/stage.json", "keys", "configuration.frame_samples", value=1280)
    change(other / "study.json", "configuration", "units", "num_units", value=77)
    change(other / "study.json", "configuration", "model", "unit_bpe_vocab_size", value=777)
    check_comparable(Run(finished_run), Run(other))


@pytest.mark.parametrize(
    ("file", "keys", "value", "message"),
    [
        (
            "corpus/passages/stage.json",
            ("keys", "configuration.corpus_seed"),
            5,
            "not of the same text .* corpus_seed",
        ),
        ("corpus/utterances/stage.json", ("keys", "configuration.rate"), "random", "of the same speech .* rate"),
        ("pairs/text/stage.json", ("keys", "configuration.pairs_per_task"), 9, "same pairs .* pairs_per_task is 9"),
        ("pairs/rendered/stage.json", ("keys", "inputs.utterances"), "0", "not of the same spoken pairs"),
        ("study.json", ("configuration", "pretrain", "epochs"), 9.0, "same training .* epochs is 9.0 there"),
        ("study.json", ("configuration", "model", "hidden_size"), 64, "same training .* hidden_size is 64 there"),
    ],
)
def test_another_corpus_other_items_or_another_training_may_not(finished_run, other, file, keys, value, message):
    change(other / file, *keys, value=value)
    with pytest.raises(ValueError, match=message):
        check_comparable(Run(finished_run), Run(other))


def test_what_is_no_run_or_unfinished_is_said(finished_run, other, tmp_path):
    (other / "pairs/text/stage.json").unlink()
    with pytest.raises(ValueError, match="other has no finished pairs"):
        open_others(Run(finished_run), [str(other)])
    with pytest.raises(FileNotFoundError, match="is not the folder of a run"):
        open_others(Run(finished_run), [str(tmp_path)])
    with pytest.raises(ValueError, match="is given twice"):
        open_others(Run(finished_run), [str(finished_run)])
