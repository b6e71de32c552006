"""Continuation perplexity, complete by itself: `evaluate.load` takes this folder.

In: texts that a model wrote behind prompts, why each ended, and another language model that judges them. Out: mean,
standard deviation, median and percentiles of their perplexities, and which shares are empty, cut off or silent.
"""
