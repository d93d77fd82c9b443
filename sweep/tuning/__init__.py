"""Everything that uses Ray.

Ray and Tune read some of their settings when they are imported. So they are set here, before
any module of this package imports them.
"""

import os

os.environ.update(
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    RAY_AIR_NEW_OUTPUT="0",
    RAY_CHDIR_TO_TRIAL_DIR="0",  # relative paths are the driver's
    RAY_ENABLE_UV_RUN_RUNTIME_ENV="0",
    RAY_USAGE_STATS_ENABLED="0",
    RAY_prestart_worker_first_driver="0",  # actors do not use these processes
    TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
    TUNE_DISABLE_SIGINT_HANDLER="1",
    TUNE_DISABLE_STRICT_METRIC_CHECKING="1",  # a trial that diverges has no metric
    TUNE_GLOBAL_CHECKPOINT_S="1000000",  # the ledger is what a sweep resumes from
)

# Every connection requires a token.
os.environ.setdefault("RAY_AUTH_MODE", "token")
