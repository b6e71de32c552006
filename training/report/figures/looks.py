"""How modalities look in the figures: a colour and a mark each, alike in all of them.

Colours are told apart under the common kinds of colour blindness, and every line and point is labelled beside it.
"""

from itertools import cycle

from ....models.modalities import MODALITIES

# On a white page, and on a dark one.
INK = {"ink": ("#1f2328", "#e6e8eb"), "muted": ("#69707a", "#9aa2ad"), "faint": ("#d5d9df", "#363c45")}
_LOOKS = {
    "text_bpe": ("#0a2f8a", "#5a84ff", "o"),
    "text_raw": ("#3b74f0", "#b8e4ff", "s"),
    "text_raw_no_space": ("#0b7fb0", "#2fb5e6", "p"),
    "phone_bpe": ("#0a6535", "#1fae62", "^"),
    "phone_raw": ("#159d80", "#74f5b0", "D"),
    "phone_stretch": ("#55530f", "#f2ef80", "v"),
    "phone_repeat": ("#b07a08", "#eea811", "P"),
    "speech_units_one_voice": ("#e040a8", "#f2b3c6", "<"),
    "speech_units": ("#8a1c58", "#e85fa6", "X"),
    "speech_units_synthetic": ("#c2185b", "#f8a5c2", "d"),
    "speech_dedup": ("#8a45b5", "#c0abe2", ">"),
    "speech_bpe": ("#5a1fd0", "#a86bd6", "*"),
    "speech_syllable": ("#b3261e", "#ff9a8f", "h"),
    "speech_syllable_unsupervised": ("#7a4a00", "#ffcf8a", "H"),
    "speech_duration_penalized": ("#0e6e7e", "#6fd3e3", "8"),
}
# Of modalities that have none of their own.
_SPARE_LOOKS = (
    ("#4d5a66", "#b4c0cc", "2"),
    ("#6b6b00", "#d6d65a", "1"),
)
_looks = _LOOKS | dict(zip([name for name in MODALITIES if name not in _LOOKS], cycle(_SPARE_LOOKS)))
COLORS = {name: _looks[name][:2] for name in MODALITIES}
"""Colours of each modality, on a light and on a dark page."""
MARKERS = {name: _looks[name][2] for name in MODALITIES}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "evoslm",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK["ink"][0],
    "axes.edgecolor": INK["muted"][0],
    "axes.labelcolor": INK["muted"][0],
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": INK["muted"][0],
    "ytick.color": INK["muted"][0],
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.labelsize": 9,
}
MARKS = {
    "baseline": {"marker": "|", "markersize": 11, "markeredgewidth": 1.6},
    "paper": {"marker": "d", "markersize": 6, "markerfacecolor": "none"},
    "at chance": {"marker": "o", "markersize": 6.5, "markerfacecolor": "none"},
}


def theme_css() -> tuple[str, str]:
    """The colours of the figures as CSS variables, for a light and for a dark page."""
    return tuple(
        " ".join(f"--{name.replace('_', '-')}: {pair[side]};" for name, pair in (INK | COLORS).items())
        for side in (0, 1)
    )
