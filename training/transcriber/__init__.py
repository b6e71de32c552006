"""Training of a transcriber of units or phones, and its word errors on speech that it has not seen.

In: a run's utterances and their units. Out: a folder for `UnitTranscriber.from_pretrained`, with a report.
"""
