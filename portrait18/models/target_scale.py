"""Scales of the age targets; see `portrait18.models.targets`."""

#: Bounds of the log variance of target value: a standard deviation of 0.7 to 110 years.
LOG_VARIANCE = (-6.0, 4.0)
#: Target value regresses (years - 45) / 15, which is near 0 and of size 1.
MEAN_YEARS, SCALE_YEARS = 45.0, 15.0
#: Target distribution gives each year from 0 to this one a probability, target rank a threshold.
MAX_YEARS = 100
