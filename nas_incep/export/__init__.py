"""Bundles: exported networks that prove themselves."""
