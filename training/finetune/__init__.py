"""Fine-tuning of language models on tasks of spoken language understanding, and how well they do, and how surely.

In: a model, a task with texts or speech, training seeds. Out: adapters or whole models, predictions, and
`results.json` and `report.md`, with another utterance's input as the control.
"""
