"""What there is to learn from: photos, their labels, folds of people, and which photos show the same person."""
