"""One publishable `evaluate` folder per metric; [`evoslm.metric_path`] finds them.

In: log-likelihoods of the sides of minimal pairs, and their numbers of tokens. Out: accuracies with their intervals.
"""

from pathlib import Path

# Where a file system or git has no symbolic links, a checkout has files in their place that hold where they lead.
if Path(__file__).with_name("bootstrap.py").read_bytes().startswith(b".."):
    raise ValueError(
        "This checkout was made without symbolic links, which the folders of metrics need; clone it again with "
        "`git -c core.symlinks=true clone`, or install evoslm from a wheel."
    )
