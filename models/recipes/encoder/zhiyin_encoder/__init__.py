"""Recipe of the default encoder: tokenizer, pre-training, multi-task training, export, evaluation."""
