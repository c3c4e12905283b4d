"""What a run has found: its folder, its records, their ranking."""
