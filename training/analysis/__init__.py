"""Why a run's models are as good as they are: what each layer knows, where words begin, and the like.

In: a finished run, a part at a time -> stages under `analysis/<part>` -> a [`Section`] of the page.
Out: `report/analysis.{md,html,json}` with its figures. A new part is one name in `AnalysisPart`
(`arguments/study.py`) and one module or room here of that name, with `find_lack`, `build` and `write_section`
(`parts.py` says what each of them does).
"""
