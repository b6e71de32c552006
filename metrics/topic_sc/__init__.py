"""Topic-SC, complete by itself: `evaluate.load` takes this folder.

In: log-likelihoods of two endings of a context, or a model and pairs. Out: accuracies with their intervals, by group.
"""
