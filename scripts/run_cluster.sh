#!/usr/bin/env bash
#SBATCH --time=1:00:00 --signal=B:USR1@120 --requeue --open-mode=append
# An example of one long run on a Slurm cluster, which goes on in the next job where the time limit ends this one:
#   sbatch scripts/run_cluster.sh out=outputs/long arch=mnist_autoencoder train.passes=500
set -u
nglab run train.checkpoint_every=600000 "$@" &
run=$!
trap 'kill -USR1 $run' USR1 # two minutes before the limit
trap 'kill -TERM $run' TERM # preemption, after which Slurm puts the job into the queue again by itself
while kill -0 $run 2>/dev/null; do # a trap ends `wait`, not the run
  wait $run
  status=$?
done
if [ $status = 138 ]; then # 128 + SIGUSR1: there is a checkpoint
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
