"""Parquet shards that are written whole or not at all, by many processes.

In: items and a function that makes rows of one. Out: `train-00000-of-00012.parquet` and so on, `skipped.jsonl`.
"""
