"""The data set: photos, labels, folds of people and the crop store."""
