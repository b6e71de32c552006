"""The report on quantizers: do units keep words and phones apart and speakers together?

In: quantizers and recordings with words and speakers. Out: a page, its figure and `report.json`.
"""
