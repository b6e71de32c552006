"""PELM, complete by itself: `evaluate.load` takes this folder.

In: prompts, the texts that a model wrote behind them, and another language model that judges them. Out: perplexities
with their intervals, and which shares of the texts are empty, repeated, copied or cut off.
"""
