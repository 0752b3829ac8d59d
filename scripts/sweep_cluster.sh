#!/usr/bin/env bash
# An example of a sweep on a Slurm cluster: a job for every rate and seed, by Hydra's submitit launcher.
#   pip install hydra-submitit-launcher && scripts/sweep_cluster.sh
# At the time limit (SIGUSR2 of submitit) a job makes a checkpoint and submitit puts it into the queue again, so often:
#   hydra.launcher.max_num_timeout=5
set -euo pipefail
exec nglab run -m hydra/launcher=submitit_slurm \
  hydra.launcher.partition="${PARTITION:-cpu}" hydra.launcher.cpus_per_task=2 hydra.launcher.timeout_min=60 \
  arch=mnist_autoencoder optimizer=sgd optimizer.lr=0.0025,0.005,0.01,0.02,0.04 'seed=range(0,3)' "$@"
