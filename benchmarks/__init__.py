"""Speed and memory, side by side with what a reader would compare with."""
