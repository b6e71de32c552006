"""What a panel of effects shows: every interval is seen to end."""

from fake_run import make_fake_run
from matplotlib.figure import Figure

from evoslm.training.report.comparison.figure import draw_figures
from evoslm.training.report.comparison.results import compare_runs
from evoslm.training.report.comparison.runs import read_runs
from evoslm.training.report.figures.panels import draw_effects
from evoslm.training.report.results import compute_results
from evoslm.training.report.run_folder import read_run


def test_no_interval_reaches_the_edge_of_its_panel(tmp_path):
    # Two trainings that nearly agree or do not: intervals from a few points to far beyond the axis of the others.
    run = make_fake_run(tmp_path / "run", modalities=("text_raw", "phone_raw", "phone_repeat"), seeds=(0, 1), pairs=20)
    results = compute_results(read_run(run))
    for task in results["tasks"]:
        axes = Figure().subplots()
        draw_effects(axes, results, results["effects"], task)
        low, high = axes.get_xlim()
        for effect in results["effects"]:
            ends = [100 * effect["tasks"][task]["points"][end] for end in ("low", "high")]
            assert low + 0.03 * (high - low) < ends[0] < ends[1] < high - 0.03 * (high - low)


def test_a_step_that_is_no_factor_has_no_letter(tmp_path):
    names = ("phone_raw", "phone_repeat", "speech_syllable", "speech_syllable_unsupervised")
    results = compute_results(read_run(make_fake_run(tmp_path / "run", names, (0, 1), pairs=20)))
    axes = Figure().subplots()
    draw_effects(axes, results, [e for e in results["effects"] if e["factor"] in ("B", "boundaries found")], "swuggy")
    labels = [label.get_text().replace("\n", " ") for label in axes.get_yticklabels()]
    assert labels == ["Phone-Raw → Phone-Repeat (B)", "Speech-Syllable → Speech-Syllable, unsupervised"]


def test_intervals_of_compared_runs_end_in_their_panel(tmp_path):
    names = ("text_raw", "phone_raw", "phone_repeat")
    runs = [make_fake_run(tmp_path / name, names, (0, 1), pairs=pairs) for name, pairs in (("a", 20), ("b", 60))]
    results = compare_runs(read_runs(runs, tmp_path / "report"))
    panels = draw_figures(results)["steps"].panels
    for task, draw in zip(results["tasks"], panels.values(), strict=True):
        axes = Figure().subplots()
        draw(axes)
        low, high = axes.get_xlim()
        changes = [change for step in results["steps"] for change in step["tasks"][task]["by_run"].values()]
        assert changes and all(low < 100 * each["low"] <= 100 * each["high"] < high for each in changes)
