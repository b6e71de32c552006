"""What runs: the commands, pre-training, the study and its report."""
