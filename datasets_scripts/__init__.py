"""What makes rows: text sources, speech synthesis, one builder for each modality, minimal pairs."""
