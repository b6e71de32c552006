"""What several tests of training share."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from evoslm.training.pretrain.data import write_ids


@pytest.fixture
def kill_and_go_on(monkeypatch):
    """Runs a training of a module, ends it at step 4 as a kill would, runs it again, and returns its folder."""

    class Killed(BaseException):
        pass

    def run(module, train, arguments):
        share = module.learning_rate_share

        def kill(step, *settings):
            if step == 4:
                raise Killed
            return share(step, *settings)

        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(module, "learning_rate_share", kill)
            train(arguments)
        output_dir = Path(arguments.output_dir)
        checkpoints = output_dir.with_name(f".{output_dir.name}.partial") / "checkpoints"
        assert [path.name for path in checkpoints.iterdir()] == ["checkpoint-3"]
        (checkpoints / "checkpoint-5").mkdir()  # one that was not finished is passed over
        return train(arguments)

    return run


@pytest.fixture(scope="module")
def tokenizer_dir(tmp_path_factory):
    """Ids in which every symbol names the next one, so that there is something to learn."""
    folder = tmp_path_factory.mktemp("tokenizer")
    words = ["<s>", "</s>", "<pad>", "<unk>", *map(str, range(20))]
    backend = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    random = np.random.default_rng(0)
    for split, count in (("train", 50), ("validation", 10)):
        starts, lengths = random.integers(20, size=count), random.integers(5, 30, size=count)
        write_ids(folder, split, [(start + np.arange(length)) % 20 + 4 for start, length in zip(starts, lengths)])
    return folder
