#!/usr/bin/env bash
# An example of a sweep on a Slurm cluster: the seeds and rates of each size of batch are one stack, and a job of Slurm's.
#   pip install 'nglab[launchers]' && scripts/sweep_cluster.sh
# Stopped by preemption or the time limit a stack goes on in the next job; the same command again takes up what is left.
set -euo pipefail
exec nglab run -m hydra/launcher=stacked hydra.launcher.on=slurm \
  hydra.launcher.slurm.partition="${PARTITION:-cpu}" hydra.launcher.slurm.cpus_per_task=2 \
  hydra.launcher.slurm.timeout_min=60 train.checkpoint_every=60000 \
  arch=mnist_autoencoder optimizer=sgd optimizer.batch_size=20,100 optimizer.lr=0.0025,0.005,0.01,0.02,0.04 \
  'seed=range(0,3)' out="${OUT:-outputs/sweeps/cluster}" "$@"
