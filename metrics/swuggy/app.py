"""The sWUGGY Space: a file of scored pairs goes in, a table of accuracies comes out. Run it with `python app.py`."""

from pathlib import Path

from pair_app import launch

if __name__ == "__main__":
    launch(Path(__file__).with_name("swuggy.py"), "sWUGGY")
