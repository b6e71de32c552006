"""Recordings with transcripts.

In: folders, manifests and datasets of audio. Out: aligned utterances, the same rows that synthesis gives.
"""
