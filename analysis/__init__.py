"""Analysis of a sweep from its files alone: best trial, statistics, plots, report."""
