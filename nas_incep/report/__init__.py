"""Pictures, reports and comparisons of runs; nothing here searches or trains."""
