"""The trained ensemble in one folder, and its use from a command line."""
