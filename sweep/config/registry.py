"""The searchers and schedulers that a config can name: to add one, add a line.

A value is `module:Class`. The class is imported when a sweep starts, so that reading a config
needs neither Ray nor Optuna. The networks are in `models.registry`, the datasets in
`data_utils.registry`.
"""

SEARCHERS = {  # samplers of Optuna, made with a `seed`
    "tpe": "optuna.samplers:TPESampler",
    "random": "optuna.samplers:RandomSampler",
    "gp": "optuna.samplers:GPSampler",
}

SCHEDULERS = {  # schedulers of Ray Tune, see `sweep.tuning.scheduler.build_scheduler`
    "asha": "sweep.tuning.scheduler:Asha",
    "preview": "sweep.tuning.scheduler:Fifo",  # the searcher proposes the previews
    "none": "sweep.tuning.scheduler:Fifo",
}
