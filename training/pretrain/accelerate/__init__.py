"""Configurations of `accelerate launch`: data parallel, and DeepSpeed's ZeRO stages 1 to 3.

In: `--config_file` of the launcher. Out: how many processes there are and which backend joins them.
"""
