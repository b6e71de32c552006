"""sWUGGY, complete by itself: `evaluate.load` takes this folder.

In: log-likelihoods of a word and a pseudo-word, or a model and pairs. Out: accuracies with their intervals, by group.
"""
