"""The engine that trains nothing and returns recorded learning curves."""
