"""What a panel of effects shows: every interval is seen to end."""

from fake_run import make_fake_run
from matplotlib.figure import Figure

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
