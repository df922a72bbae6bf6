"""Runs: plans executed by workers, watched on pages, proved and taken back."""
