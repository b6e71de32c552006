"""Joint models of speech units and text on a finished run (2310.08715).

In: a run's utterances and their units. Out: a joint tokenizer, models of five mixtures by training seed, and how well
each predicts text and speech, alone and after the other.
"""
