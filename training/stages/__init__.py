"""The stages of a study, one file each.

In: the values that make a stage's result and the folders that it reads. Out: the stage's folder.
"""
