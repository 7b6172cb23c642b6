"""Convert other labeled face data sets to the competition's layout, with masks drawn."""
