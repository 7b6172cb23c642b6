"""From the predictions of many models to one decision, and how good it is."""
