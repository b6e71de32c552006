"""Configurations of DeepSpeed's ZeRO stages 1 to 3, as `--deepspeed` takes them.

In: a stage of ZeRO. Out: what is shared out among the GPUs; batches and precision are left to the Trainer (`auto`).
"""
