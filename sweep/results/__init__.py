"""What to do with a finished sweep: export, predict, dashboard, track."""
