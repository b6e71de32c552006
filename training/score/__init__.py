"""Scores of minimal pairs that do not belong to a run, and of the official items of ZeroSpeech 2021.

In: a model, or a finished run, and pairs. Out: `scores.parquet`, accuracies, submissions.
"""
