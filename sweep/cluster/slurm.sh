#!/bin/bash
# A sweep on Slurm: a Ray cluster on the nodes of one job, gone with the job.
# Tried with a stand-in for `srun` on one machine; not run on Slurm.
#
#   python3 -m venv .venv && .venv/bin/pip install '.[cluster]'   # in a folder that all nodes see
#   .venv/bin/sweep data                                          # if they have no internet
#   sbatch sweep/cluster/slurm.sh                                 # from the same folder
#   sweep status classic --follow --storage runs                  # any node
#
# To change: how many nodes of what size for how long, the name and the preset of the sweep, and
# the storage, which all nodes must reach under the same name: a shared folder, or
# s3://BUCKET/sweeps. Add the account and the partition if your site asks for them.
#
# Two minutes before its time is over the job goes back into the queue, and so it does after the
# loss of a node. `--resume` then continues the sweep: every finished epoch is kept.
#SBATCH --job-name=lenet-sweep
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
# At its end a node stops all Ray processes of yours: it must not have another job's.
#SBATCH --exclusive
set -euo pipefail

export PATH=$PWD/.venv/bin:$PATH
# Ray accepts only clients with the token, which is in your home folder.
export RAY_AUTH_MODE=token
[ -s ~/.ray/auth_token ] || ray get-auth-token --generate >/dev/null
chmod 600 ~/.ray/auth_token
# Seconds for the nodes to find each other: Python starts slowly from a shared folder.
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)
port=$((20000 + SLURM_JOB_ID % 10000))

# In the background: the shell would not handle the signal while it waits for a command.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" \
    ray symmetric-run --address "$head:$port" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus "$SLURM_CPUS_PER_TASK" --disable-usage-stats -- \
    sweep run --resume --name classic --preset classic --address auto --storage runs &
step=$!
trap 'scontrol requeue "$SLURM_JOB_ID"' USR1
wait "$step"
