"""Pre-training of a HuBERT encoder on the speech of a run.

In: audio of a run and units to predict. Out: a folder for `--encoder` and `AutoModel`.
"""
