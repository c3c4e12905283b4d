"""The engine that trains nothing: it answers from recorded learning curves."""
