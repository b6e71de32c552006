"""One publishable Gradio Space per folder, each with its card, its requirements and the file that a Hub runs.

In: the folder of a finished run, or ids of models on the Hub. Out: a page on which people hear and compare them.
"""
