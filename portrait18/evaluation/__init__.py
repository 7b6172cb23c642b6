"""Combine the predictions of many models, and evaluate the result."""
