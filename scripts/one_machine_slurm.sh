#!/usr/bin/env bash
# A Slurm of this machine alone, to try sweeps on before they go to a cluster:
#   scripts/one_machine_slurm.sh install             # as root, on Debian or Ubuntu
#   scripts/one_machine_slurm.sh start FOLDER [CPUS] # as many as there are; Slurm shares out more, if told to
#   export SLURM_CONF=FOLDER/slurm.conf              # for sbatch, squeue and nglab
#   scripts/one_machine_slurm.sh stop FOLDER
# All that it makes lies in FOLDER, and stop ends what start began. Partitions: cpu, and urgent, whose jobs preempt those
# of cpu. There is no accounting. A job that goes back into the queue starts again five seconds later.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

installed() {
  local name
  for name in munged slurmctld slurmd sbatch; do
    command -v "$name" >/dev/null || return 1
  done
}

install() {
  ! installed || return 0
  local options=(-q -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=60)
  export DEBIAN_FRONTEND=noninteractive
  timeout 120 apt-get "${options[@]}" update &&
    timeout 300 apt-get "${options[@]}" install -y --no-install-recommends slurm-wlm munge
}

free_port() { # one that nobody listens on, below those that the system gives out by itself
  local port
  for _ in $(seq 100); do
    port=$((20000 + RANDOM % 10000))
    if ! (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  return 1
}

configuration() { # of Slurm, for `folder` and `cpus`
  local host user
  host=$(hostname -s)
  user=$(id -un)
  cat <<CONF
ClusterName=here
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=$user
SlurmdUser=$user
AuthInfo=socket=$folder/munge.socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/$([ "$user" = root ] && echo linuxproc || echo pgid)
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,sched_min_interval=100000,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=1
ReturnToService=2
MpiDefault=none
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
PartitionName=cpu Nodes=$host Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=urgent Nodes=$host PriorityTier=2 MaxTime=INFINITE State=UP
CONF
}

start() {
  mkdir -p "$1"
  folder=$(realpath "$1") cpus=${2:-$(nproc)}
  mkdir -p "$folder/state" "$folder/spool"
  chmod 755 "$folder"
  (umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
  munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"
  configuration >"$folder/slurm.conf"
  export SLURM_CONF=$folder/slurm.conf
  slurmctld
  slurmd
  for _ in $(seq 150); do
    if [ "$(sinfo --noheader --partition=cpu --format=%T 2>/dev/null)" = idle ]; then
      echo "export SLURM_CONF=$SLURM_CONF"
      return
    fi
    sleep 0.2
  done
  tail -n 5 "$folder"/*.log >&2
  stop "$folder"
  return 1
}

stop() { # jobs first: they outlive slurmd
  folder=$(realpath "$1")
  export SLURM_CONF=$folder/slurm.conf
  timeout 10 scancel --user="$(id -u)" 2>/dev/null || true
  for _ in $(seq 25); do
    [ -n "$(timeout 10 squeue --noheader 2>/dev/null)" ] || break
    sleep 0.2
  done
  for name in slurmd slurmctld munged; do
    end "$folder/$name.pid"
  done
}

end() { # the process whose number is in a file
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 50); do
    grep -q . "/proc/$pid/cmdline" 2>/dev/null || return 0 # gone, or ended and not yet waited for
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

usage() {
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

case "${1:-}" in
install) install ;;
start | stop)
  [ $# -ge 2 ] || usage
  "$@"
  ;;
*) usage ;;
esac
