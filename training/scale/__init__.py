"""Units of very much audio, by datatrove: on one machine, with SLURM or Ray.

In: recordings or utterances, and a quantizer. Out: shards of units.
"""
