"""What has `from_pretrained`, and what runs on it: language models, tokenizers, speech units, scoring."""
