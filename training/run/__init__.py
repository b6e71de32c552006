"""A run: its folder, its stages, the processes that work on it, and what it was made with.

In: what makes a stage's result, and a function that builds it. Out: folders that are whole or not there.
"""
