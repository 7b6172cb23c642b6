"""What is trained: backbones, heads, how a task is posed and its loss; and from crops to probabilities."""
