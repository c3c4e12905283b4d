"""The results of a run: its folder, its records and their ranking."""
