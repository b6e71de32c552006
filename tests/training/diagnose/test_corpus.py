"""The preset of a diagnosis, and its place in the cache."""

from pathlib import Path

import pytest

from evoslm.datasets_scripts.stories.simple.language import LANGUAGE_FILE, load_language
from evoslm.training.diagnose.corpus import ANCHOR_RATES, nearest_rate, open_corpus
from evoslm.training.run.execution import Execution


def test_the_language_is_four_topics_of_the_default_one_wherever_the_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = open_corpus("diagnose", Execution(), tmp_path).arguments
    small, whole = load_language(arguments.corpus.lexicon), load_language(LANGUAGE_FILE)
    assert len(small.topics) == 4 and small.topics.items() <= whole.topics.items()
    assert (small.shared, small.sentences) == (whole.shared, whole.sentences)


def test_a_corpus_lies_under_everything_that_makes_it_and_seeds_are_no_part_of_it(tmp_path):
    text = "corpus: stories\nmax_words: 4000\ntraining_seeds: {seeds}\nepochs: {epochs}\n"
    folders = []
    for seeds, epochs in (("[0, 1]", 1), ("[5, 6, 7]", 1), ("[0, 1]", 2)):
        preset = tmp_path / "mine.yaml"
        preset.write_text(text.format(seeds=seeds, epochs=epochs))
        folders.append(open_corpus(str(preset), Execution(), tmp_path / "cache").run.folder)
    first, same, other = folders
    assert first == same != other and first.parent == Path(tmp_path / "cache" / "diagnosis")
    assert not first.exists(), "nothing is made by looking"


@pytest.mark.parametrize(("rate", "nearest"), [(12.5, 12.5), (40, 50), (75, 50), (86, 100), (200, 100), (5, 12.5)])
def test_the_nearest_anchor(rate, nearest):
    assert nearest_rate(rate) == nearest and nearest in ANCHOR_RATES
