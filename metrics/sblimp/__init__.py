"""sBLIMP, complete by itself: `evaluate.load` takes this folder.

In: log-likelihoods of a sentence and an ungrammatical one, or a model and pairs. Out: accuracies with their intervals,
by group.
"""
