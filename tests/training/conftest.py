"""What several tests of training share."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from evoslm.training.data import write_ids


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
