"""Convert other labeled face data sets to the competition's layout, with masks drawn."""

#: File in a folder that the importer has built: from which people and with which options.
INPUTS = ".inputs.json"
