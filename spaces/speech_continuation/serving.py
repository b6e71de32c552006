"""How the page is served: nothing but itself, within its limits; and `evoslm demo`, which opens it.

`gradio.Blocks` -> [`launch_demo`] -> a server. `evoslm demo runs/laptop` -> [`open_demo`] -> the same on loopback.
"""

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...training.run.workers import resolve_device
from .limits import MAX_UPLOAD

_DEFAULT_RUN = "runs/laptop"
_CSS = Path(__file__).with_name("page.css")
_FOOTER_STYLE = "<style>@media (max-width: 640px) { footer .divider { display: none !important; } }</style>"
"""Where it is narrow, Gradio leaves all but one thing out of the footer, and a dot before that. The page's own style
does not reach the footer."""
_FOLDER = "GRADIO_TEMP_DIR"


@dataclass
class DemoArguments:
    """
    The page.

    Args:
        models (`list[str]`, *optional*, defaults to `["runs/laptop"]`): The folder of a finished run, or ids of models
            on the Hub.
        host (`str`, *optional*, defaults to `"127.0.0.1"`): The address that it listens on; nobody else reaches the
            default.
        port (`int`, *optional*): The port; the first free one from 7860 on when not given.
        device (`str`, *optional*, defaults to `"auto"`): Where models run: `cpu`, `cuda`, or whichever there is.
    """

    models: list[str] = field(default_factory=lambda: [_DEFAULT_RUN])
    host: str = "127.0.0.1"
    port: int | None = field(default=None, metadata={"least": 1, "most": 65535})
    device: Literal["auto", "cpu", "cuda"] = "auto"


def open_demo(arguments: DemoArguments) -> None:
    """
    `evoslm demo`: open the page and wait.

    Args:
        arguments ([`DemoArguments`]): Of the command.

    Raises:
        `FileNotFoundError`: If there is no such run or model.
        `ValueError`: If a run has no trained model, gradio is not installed, there is no such device, or the port is
            taken.
    """
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise ValueError("The page needs gradio; install it with `pip install gradio`.") from None
    if arguments.models == [_DEFAULT_RUN] and not Path(_DEFAULT_RUN).is_dir():
        raise FileNotFoundError(f"There is no run {_DEFAULT_RUN}; make one with `evoslm study`, or name another.")
    from .layout import build_demo

    device = resolve_device(arguments.device)
    with _ended_by_sigterm(), _own_folder():
        demo = build_demo(arguments.models, device=device)
        try:
            launch_demo(demo, server_name=arguments.host, server_port=arguments.port)
        except OSError as error:
            raise ValueError(f"{error}; choose another --port or --host.") from error


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the page as Ctrl-C does, so that it leaves nothing behind; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _own_folder() -> Iterator[None]:
    """A folder for uploads and results; by default all pages of a machine share one that its users can list."""
    if _FOLDER in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="evoslm-demo-") as folder:
        os.environ[_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[_FOLDER]


def launch_demo(demo: Any, **options: Any) -> Any:
    """
    Serve the page.

    Args:
        demo (`gradio.Blocks`): Of [`build_demo`].
        options (`Any`, *optional*): More of `gradio.Blocks.launch`, such as `server_port` or `prevent_thread_lock`.

    Returns:
        `Any`: What `gradio.Blocks.launch` returns.
    """
    from .request_guard import guard_requests

    # What the page needs comes from the page's own server: no fonts from elsewhere, and nobody is told.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    usual = {
        "theme": _make_theme(),
        "css_paths": [_CSS],
        "head": _FOOTER_STYLE,
        "max_file_size": MAX_UPLOAD,
        "app_kwargs": guard_requests(demo),
        "allowed_paths": [],
        "state_session_capacity": 500,
        "share": False,
        "ssr_mode": False,
        "mcp_server": False,  # whose tools would be called past the guard
        "run_history": False,
        "footer_links": ["api", "settings"],
    }
    return demo.launch(**usual | options)


def _make_theme() -> Any:
    """Fonts that are there already, and colours that can be read: at least 4.5 to 1, in light and dark."""
    import gradio as gr

    theme = gr.themes.Default(
        primary_hue="indigo", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    subdued = dict.fromkeys(("body_text_color_subdued", "block_info_text_color"), "*neutral_600")
    subdued |= dict.fromkeys(("block_label_text_color", "block_title_text_color"), "*neutral_600")
    subdued |= {f"{name}_dark": "*neutral_300" for name in subdued}
    buttons = {
        f"button_{kind}_{part}{mode}": colour
        for kind, colours in {"primary": ("*primary_600", "*primary_700"), "cancel": ("#b91c1c", "#991b1b")}.items()
        for part, colour in zip(("background_fill", "background_fill_hover"), colours)
        for mode in ("", "_dark")
    }
    return theme.set(
        **subdued,
        **buttons,
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        link_text_color_visited="*primary_700",
        link_text_color_visited_dark="*primary_300",
        link_text_color_hover="*primary_800",
        link_text_color_hover_dark="*primary_200",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )
