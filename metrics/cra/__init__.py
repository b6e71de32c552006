"""CRA, complete by itself: `evaluate.load` takes this folder.

In: log P(continuation | context) of blocks of passages, or a joint model and blocks. Out: accuracies of retrieval with
their intervals, by direction.
"""
