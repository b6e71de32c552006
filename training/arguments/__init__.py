"""Arguments of the commands.

In: flags and a preset. Out: one dataclass a group, checked before any work is done.
"""
