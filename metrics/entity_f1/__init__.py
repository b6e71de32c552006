"""Entity F1, complete by itself: `evaluate.load` takes this folder.

In: entities of sentences, as lists or as a model generated them, and those that are there. Out: micro-F1 over labels
with phrases and over labels alone, with intervals, and what was malformed.
"""
