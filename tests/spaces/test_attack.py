"""Three hundred bad requests: a sentence for each, a server that lives, and nothing given away."""

import hashlib
import os
import stat
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from bad_requests import TYPE, Attacker, bad_requests, sound

pytestmark = pytest.mark.end_to_end
KNOWN = {"text": "the dog", "audio": None, "models": ["text_raw/seed-0"], "num_continuations": 1}
KNOWN |= {"seconds": 1, "temperature": 1, "top_p": 0.9, "seed": 3}
UNKIND = ("Traceback", "Internal Server Error", "Exception", "site-packages", ".py")


@pytest.fixture(scope="module")
def page(space) -> Attacker:
    return Attacker(space.url, space.listener.port, KNOWN)


def test_each_bad_request_gets_a_sentence_and_harms_nothing(space, page):
    before = page.call("continue", **KNOWN)[1][1]
    requests = list(bad_requests())
    assert len(requests) >= 300
    said = {request.name: (request.send(page), request.may_be_answered) for request in requests}
    answered = [name for name, (sentence, may_be_answered) in said.items() if not (sentence or may_be_answered)]
    assert answered == []
    assert {name: sentence for name, (sentence, _) in said.items() if sentence and not is_clear(sentence)} == {}
    assert space.listener.count == 0  # nothing was fetched, neither from where the request said nor from anywhere else
    assert "Traceback" not in space.log.read_text()
    assert page.call("continue", **KNOWN)[1][1] == before


def is_clear(sentence: str) -> bool:
    """Whether a person can read it, and it gives no file of the server away."""
    return len(sentence) >= 9 and not any(word in sentence for word in UNKIND)


def test_who_does_not_know_an_uploads_name_cannot_read_it(space, page):
    secret = sound(np.sin(np.arange(8000) / 7))
    path = page.upload("secret.wav", secret).json()[0]
    name, hashed = os.path.basename(path), os.path.basename(os.path.dirname(path))
    uploads = Path(path).parents[1]
    assert stat.S_IMODE(uploads.stat().st_mode) & 0o077 == 0  # nor can another user of the machine
    other = httpx.Client(base_url=space.url, trust_env=False)
    served = f"/gradio_api/file={uploads}"
    # 256 bits of content and a seed that only the server knows: the same file has another name elsewhere.
    assert len(bytes.fromhex(hashed)) == 32
    guesses = [
        hashlib.sha256(secret).hexdigest(),
        "0" * 64,
        hashed[:-1] + ("0" if hashed[-1] != "0" else "1"),
        "*",
        ".",
    ]
    for guess in guesses:
        assert other.get(f"{served}/{guess}/{name}").status_code == 403
    assert other.get(served).status_code == other.get(f"{served}/{hashed}").status_code == 403  # nothing is listed
    # Who has the name has the file: it is what the page itself plays an upload by.
    assert other.get(f"{served}/{hashed}/{name}").content == secret


def test_a_script_in_a_file_that_is_served_is_not_run_by_a_browser(page):
    for name in ("a.html", "a.svg", "a.wav.html"):
        path = page.upload(name, b"<script>1</script>").json()[0]
        response = page.client.get(f"/gradio_api/file={path}")
        assert response.headers["content-disposition"].startswith("attachment")


def test_a_name_that_leads_elsewhere_stays_below_the_uploads(space, page):
    for name in ("../../evil.wav", "..\\..\\evil.wav", "/etc/evil.wav", "a\0b.wav", "<b>.wav", "x" * 300 + ".wav"):
        response = page.upload(name, b"RIFF")
        if response.status_code == 200:
            assert response.json()[0].startswith(str(space.temporary))
        else:
            assert is_clear(response.text)
    assert all(space.temporary in path.parents for path in space.folder.rglob("*evil*"))


def test_what_is_too_large_is_not_kept(space, page):
    def chunks():
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\n'
        for _ in range(25):
            yield bytes(2**20)
        yield b"\r\n--b--\r\n"

    form = {"Content-Type": "multipart/form-data; boundary=b"}
    response = page.client.post("/gradio_api/upload", content=chunks(), headers=form)  # without saying how much
    assert response.status_code == 413 and "maximum allowed size" in response.text
    large = [path for path in space.temporary.rglob("*") if path.is_file() and path.stat().st_size > 10 * 2**20]
    assert large == []


def test_an_upload_that_is_gone_is_named(page):
    path = page.upload("a.wav", sound(np.sin(np.arange(8000) / 5))).json()[0]
    os.remove(path)
    said = page.continue_with(text="", audio={"path": path} | TYPE)
    assert said == "audio: the uploaded file is no longer here; upload it again"


def test_uploads_and_results_are_deleted_after_a_time_and_examples_stay(finished_run, tmp_path, monkeypatch):
    from evoslm.spaces.speech_continuation import build_demo, launch_demo

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    demo = build_demo(finished_run)
    assert demo.delete_cache == (600, 1800)  # the page says: within an hour
    examples = set(tmp_path.rglob("*.wav"))
    demo.delete_cache = (1, 2)
    _, url, _ = launch_demo(demo, prevent_thread_lock=True, quiet=True)
    try:
        page = Attacker(url.rstrip("/"), 1, KNOWN)
        uploaded = Path(page.upload("a.wav", sound(np.sin(np.arange(8000) / 5))).json()[0])
        result = Path(page.call("continue", **KNOWN)[1][0][0]["path"])
        example = {"path": str(sorted(examples)[0])} | TYPE
        assert page.continue_with(text="", audio=example, models=["speech_units/seed-0"]) is None
        for _ in range(3000):  # the results of both prompts
            if set(tmp_path.rglob("*.wav")) == examples:
                break
            time.sleep(0.1)
        assert not uploaded.exists() and not result.exists()
        assert set(tmp_path.rglob("*.wav")) == examples
    finally:
        demo.close()
