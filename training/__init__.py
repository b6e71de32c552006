"""What runs: the commands, and the stages of a study from its text to its report.

In: flags and presets. Out: a run's folder with corpus, units, tokenizers, models, scores and report, each stage whole
or not there.
"""
