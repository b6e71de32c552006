"""Presets: one YAML file each, read by the commands as the values underneath their flags."""
