"""Networks: backbones, heads, targets, losses, metrics, and inference from crops."""
