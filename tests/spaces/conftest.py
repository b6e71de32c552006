"""A page that is served."""

from collections.abc import Iterator

import pytest
from gradio_client import Client
from served_space import ServedSpace

from evoslm.spaces.speech_continuation import build_demo, launch_demo


@pytest.fixture(scope="session")
def client(finished_run) -> Iterator[Client]:
    """A client of the page, which is served in this process."""
    demo = build_demo(finished_run, device="cpu")
    _, url, _ = launch_demo(demo, prevent_thread_lock=True, quiet=True)
    yield Client(url, verbose=False)
    demo.close()


@pytest.fixture(scope="module")
def space(finished_run, tmp_path_factory) -> Iterator[ServedSpace]:
    """`evoslm demo` of the tiny study, which leaves no uploads when it is ended."""
    served = ServedSpace(finished_run, tmp_path_factory.mktemp("space"))
    yield served
    (folder,) = served.temporary.glob("evoslm-demo-*")
    served.stop()
    assert not folder.exists()
