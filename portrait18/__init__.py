"""Mask, gender and age group from a portrait photo: the library that stages, tests and tools share."""
