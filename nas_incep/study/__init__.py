"""The Optuna study of a run; the only room that imports Optuna."""
