"""What has `from_pretrained`, and what runs on it: language models, tokenizers, speech units, vocoders, scoring.

In: contents, ids and waveforms, of whatever corpus. Out: models, ids, units, log-likelihoods, audio. Nothing here
knows the rows of a dataset or a run.
"""
