"""Ids are written as they come, and read from the disk."""

import numpy as np
import pytest

from evoslm.training.pretrain.data import TokenizedUtterances, write_ids


@pytest.mark.parametrize(("vocab_size", "dtype"), [(2000, np.uint16), (70_000, np.uint32)])
def test_what_comes_one_after_the_other_is_one_array(tmp_path, vocab_size, dtype):
    rows = [np.arange(length) + vocab_size - 40 for length in (3, 0, 40, 1)]
    assert write_ids(tmp_path, "train", iter(rows), vocab_size) == 44
    ids = np.load(tmp_path / "train.ids.npy")
    assert ids.dtype == dtype and ids.tolist() == np.concatenate(rows).tolist()
    read = TokenizedUtterances(tmp_path, "train", 1, 2)
    assert isinstance(read.ids, np.memmap) and read.lengths.tolist() == [5, 2, 42, 3]
    assert read[0].tolist() == [1, *rows[0].tolist(), 2]


def test_an_id_outside_the_vocabulary_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not in a vocabulary of 5"):
        write_ids(tmp_path, "train", [np.array([5])], 5)
