"""Text: from books, datasets and transcripts to passages that can be read aloud.

In: .txt files, a column of a dataset, or sentences. Out: [`Passage`]s, words and their counts.
"""
