"""Bundles: exported networks that can be verified."""
