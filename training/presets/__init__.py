"""Presets: one YAML file each, read by the commands as the values underneath their flags.

In: the name of a preset. Out: a value for each flag that it sets.
"""
