"""Twenty clients at once: each gets what it gets alone, none is turned away, and the server needs no more memory."""

import hashlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from gradio_client import Client, handle_file

pytestmark = pytest.mark.end_to_end
CLIENTS, ROUNDS = 20, 3
WORDS = ("dog", "cat", "old man", "girl", "teacher")
MODELS = ("text_raw/seed-0", "phone_bpe/seed-0", "speech_units/seed-0", "speech_dedup/seed-0")
MARGIN_MB = 80
"""How much more memory the server may have than after the first requests. It takes about 10 MB a round until all of
its threads have worked, and no more from then on."""


def ask_all(clients: list[Client]) -> list[tuple]:
    """What each client gets of its own prompt, model and seed, all at the same time."""
    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(ask, clients, range(len(clients))))


def ask(client: Client, number: int) -> tuple:
    files, records = client.predict(
        text=f"the {WORDS[number % len(WORDS)]}",
        audio=None,
        models=[MODELS[number % len(MODELS)]],
        num_continuations=1,
        seconds=2,
        seed=number,
        api_name="/continue",
    )
    (record,) = records
    sounds = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
    return record["model"], record["content"], tuple(record["log_likelihoods"]), record["stop_reason"], *sounds


@pytest.fixture(scope="module")
def clients(space, tmp_path_factory) -> list[Client]:
    folder = tmp_path_factory.mktemp("downloads")
    return [Client(space.url, verbose=False, download_files=folder / str(number)) for number in range(CLIENTS)]


def test_twenty_clients_at_once_get_each_what_it_gets_alone(space, clients):
    alone = [ask(client, number) for number, client in enumerate(clients)]
    assert len(set(alone)) == CLIENTS  # so that a mixed-up answer would be seen
    before = space.memory_mb()
    for _ in range(ROUNDS):
        assert ask_all(clients) == alone
    time.sleep(1)
    assert space.memory_mb() - before < MARGIN_MB
    assert "Traceback" not in space.log.read_text()


def test_twenty_tables_of_units_at_once_are_measured_each_for_itself(clients, finished_run, tmp_path):
    (shard,) = (finished_run / "units" / "speech_units" / "utterances").glob("validation-*.parquet")
    rows = pq.read_table(shard).to_pylist()

    def measure(number: int) -> dict:
        path = tmp_path / f"{number}.jsonl"
        lines = ({"file": row["id"], "units": [unit % (number + 2) for unit in row["units"]]} for row in rows)
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        return clients[number].predict(units=handle_file(str(path)), rate=0, api_name="/measure_units")

    with ThreadPoolExecutor(CLIENTS) as pool:
        together = list(pool.map(measure, range(CLIENTS)))
    assert [found["rows"][0]["units"] for found in together] == [number + 2 for number in range(CLIENTS)]
    assert all(found["rows"][1:] == together[0]["rows"][1:] for found in together)  # the same anchors
    assert measure(7) == together[7]


def test_a_client_that_leaves_keeps_nobody_waiting(space, clients):
    expected = ask(clients[0], 0)
    for number in range(1, 6):
        job = clients[number].submit(
            text="the dog", audio=None, models=[MODELS[2]], num_continuations=4, seconds=15, api_name="/continue"
        )
        job.cancel()
    assert ask(clients[0], 0) == expected
    assert space.is_alive()
