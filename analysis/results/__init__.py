"""What the records show: the best trial, statistics, verdict, cost, tables."""
