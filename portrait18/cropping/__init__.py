"""From photos to face crops in one array."""
