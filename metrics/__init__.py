"""One publishable `evaluate` folder per metric; [`evoslm.metric_path`] finds them.

In: log-likelihoods of the sides of minimal pairs, and their numbers of tokens. Out: accuracies with their intervals.
"""
