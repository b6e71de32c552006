"""What trainings leave along their way: points that were scored, and validation losses.

In: a modality of a finished run. Out: accuracies over tokens, epochs and FLOPs, straight lines through them with their
intervals, and comparisons where two trainings have seen, or cost, the same.
"""
