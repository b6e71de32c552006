"""What makes rows: of text, synthesis, recordings and minimal pairs, and a dataset builder for each modality.

In: books, recordings, word lists and seeds. Out: passages, shards of utterances and of pairs, datasets of `id` and
`content`.
"""
