"""Training of a neural vocoder for the units of a run.

In: audio and units of a run. Out: a folder for `UnitHifiGan.from_pretrained`.
"""
