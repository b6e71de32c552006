"""One rank of a training that several processes share; started by a launcher in test_distributed.py.

python -m torch.distributed.run ... shared_training.py '{"tokenizer_dir": ..., "output_dir": ..., ...}'
"""

import json
import os
import signal
import sys
from pathlib import Path

from evoslm.training.arguments.study import HardwareArguments, PretrainArguments
from evoslm.training.pretrain.pretraining import pretrain
from evoslm.training.run.distributed import PREEMPTED, TrainingStopped, leave

SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}


def main(tokenizer_dir, output_dir, shape, protocol, hardware=None, signals=None) -> None:
    """Train; `signals` maps a rank to the share of the training at which a signal hits it, and which."""
    rank = os.environ.get("RANK", "0")

    def send_signal(share: float) -> None:
        at, name = (signals or {}).get(rank, (2.0, ""))
        if share >= at:
            os.kill(os.getpid(), getattr(signal, name))

    pretrain(
        "phone_raw",
        Path(tokenizer_dir),
        Path(output_dir),
        shape,
        PretrainArguments(**protocol),
        seed=3,
        report_progress=send_signal,
        hardware=HardwareArguments(**(hardware or {})),
    )


if __name__ == "__main__":
    try:
        main(**json.loads(sys.argv[-1]))
        leave()
    except TrainingStopped as stopped:
        print(stopped, file=sys.stderr)
        leave()
        sys.exit(PREEMPTED)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
