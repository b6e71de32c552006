"""A whole study with units from elsewhere: those of a finished run as a table, and a codec of 12.5 frames a second."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_codec import make_codec
from unit_tables import FLAGS

from evoslm.training.cli import main
from evoslm.training.report.formatting import percent

pytestmark = pytest.mark.end_to_end


def test_a_runs_own_units_as_a_table_give_its_tokenizer_and_its_scores(finished_run, table_run):
    run = table_run
    for file in ("train.ids.npy", "train.offsets.npy", "validation.ids.npy"):
        found, expected = (np.load(folder / "tokenizers" / "speech_units" / file) for folder in (run, finished_run))
        assert np.array_equal(found, expected)
    place = Path("scores", "speech_units", "seed-0", "best", "items.parquet")
    found, expected = (pd.read_parquet(folder / place) for folder in (run, finished_run))
    assert found["pair_id"].tolist() == expected["pair_id"].tolist()
    for side in ("positive", "negative"):
        np.testing.assert_allclose(found[side], expected[side], rtol=1e-4)
    place = Path("scores", "speech_units", "baselines", "baselines.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(run / place), pd.read_parquet(finished_run / place))
    quality = [
        json.loads((each / "units/speech_units/utterances/quality.json").read_text()) for each in (run, finished_run)
    ]
    assert quality[0] == quality[1]
    report = (run / "report" / "report.md").read_text().replace("\xa0", " ")
    assert "Speech-Table" in report and "Speech-MFCC" not in report
    assert main(["unit-report", str(run)]) == 0


def test_a_codec_of_long_frames_goes_from_its_name_to_the_report(finished_run, tmp_path):
    run, codec = tmp_path / "run", make_codec("mimi", tmp_path / "codec")
    for part in (Path("corpus"), Path("pairs", "text")):
        shutil.copytree(finished_run / part, run / part)
    flags = ["--units", "codec", "--units_model", codec, "--output_dir", str(run)]
    assert main(["study", *FLAGS, *flags]) == 0
    tokens = {
        name: np.diff(np.load(run / "tokenizers" / name / "train.offsets.npy")).tolist()
        for name in ("phone_repeat", "speech_units")
    }
    assert tokens["phone_repeat"] == tokens["speech_units"]
    models = [json.loads((run / "models" / name / "seed-0" / "config.json").read_text()) for name in tokens]
    assert [model["frame_rate"] for model in models] == [12.5, 12.5] and models[1]["unit_encoder"] == "Mimi"
    report = (run / "report" / "report.md").read_text().replace("\xa0", " ")
    assert "Speech-Mimi" in report and "12.5 frames a second, which Phone-Repeat has, too" in report
    summary = json.loads((run / "tokenizers" / "phone_repeat" / "summary.json").read_text())
    share = percent(summary["train_phones_lost"] / summary["train_phones"])
    assert f"{share} % of the phones of the training split have none in Phone-Repeat" in report
    assert str(tmp_path) not in (run / "models" / "speech_units" / "seed-0" / "config.json").read_text()
