"""What the guard refuses by itself, without a page behind it."""

import pytest

from evoslm.spaces.speech_continuation.request_guard import asks_for_address


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://example.com/a.wav",
        "/gradio_api/file= https://example.com/a.wav",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file/http://example.com/a.wav",
        "/gradio_api/file//http://example.com/a.wav",
        "/gradio_api/file/tmp/a.wav",
        "/below/a/root/gradio_api/file/http://example.com/a.wav",
        "/file=/below/gradio_api/file=http://example.com/a.wav",
    ],
)
def test_no_route_for_files_takes_an_address(path):
    assert asks_for_address(path)


@pytest.mark.parametrize("path", ["/", "/gradio_api/file=/tmp/gradio/ab/file=1.wav", "/gradio_api/upload", "/file/a"])
def test_what_the_page_asks_for_is_no_address(path):
    assert not asks_for_address(path)
