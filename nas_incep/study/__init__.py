"""The Optuna study of a run; only this subpackage imports Optuna."""
