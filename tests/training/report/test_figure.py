"""Drawings as parts of a page."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from evoslm.training.report.figures.figure import themed_svg


def test_a_label_is_text_whatever_it_holds():
    canvas = Canvas(figsize=(1, 1))
    FigureCanvasAgg(canvas)
    svg = themed_svg(canvas, "drawing", 'From text to "L9" <img src=x onerror=alert(1)> & more')
    assert svg.startswith(
        '<svg role="img" aria-label="From text to &quot;L9&quot; &lt;img src=x onerror=alert(1)&gt; &amp; more" '
    )
    assert "<img" not in svg
