#!/usr/bin/env bash
# A throw-away Slurm on this host: loopback only, without munge, run by whoever calls. Its partitions: `main`, of a low
# priority, whose jobs `urgent` preempts after GRACE seconds; `short` ends a job after a minute. Exit code 85 asks for a
# requeue. Every node has two files that stand for GPUs. `up` prints the path that SLURM_CONF has to be; what it starts ends with `down`, which also ends all that
# runs in its jobs, or, without one, when process OWNER has ended.
# usage: sandbox.sh DIR up OWNER [NODES] [CPUS]  |  sandbox.sh DIR down  |  sandbox.sh DIR controller
set -euo pipefail
dir=$1 verb=$2
conf=$dir/slurm.conf
GRACE=${GRACE:-15}

# A block of ports that nobody listens on now. Two that pick the same at the same moment: start() notices, and picks again.
free_ports() { # COUNT
    /usr/bin/python3 -B - "$1" <<'PICK'
import random, socket, sys
count = int(sys.argv[1])
for attempt in range(200):
    first = random.randrange(20000, 30000)  # below what the kernel gives out by itself
    sockets = []
    try:
        for port in range(first, first + count):
            sockets.append(socket.socket())
            sockets[-1].bind(("127.0.0.1", port))
    except OSError:
        continue
    print(first)
    break
else:
    sys.exit("sandbox.sh: no free ports between 20000 and 30000")
PICK
}

write_conf() { # NODES CPUS PORT
    cat >"$conf" <<CONF
ClusterName=glowworm$3
SlurmctldHost=localhost
SlurmctldPort=$3
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/none
AuthInfo=cred_expire=5
CredType=cred/none
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
TmpFS=$dir/tmp/%n
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/log/jobcomp.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
RequeueExit=85
RequeueExitHold=86
ReturnToService=2
KillWait=5
SlurmdTimeout=10
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=n[1-$1] Gres=gpu:2 NodeHostname=localhost NodeAddr=127.0.0.1 Port=[$(($3 + 1))-$(($3 + $1))] CPUs=$2 SocketsPerBoard=1 CoresPerSocket=$2 ThreadsPerCore=1 RealMemory=4000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefMemPerNode=3000 PriorityTier=10 PreemptMode=REQUEUE GraceTime=$GRACE
PartitionName=short Nodes=ALL MaxTime=1 DefMemPerNode=3000 PriorityTier=10 PreemptMode=REQUEUE GraceTime=$GRACE
PartitionName=urgent Nodes=ALL MaxTime=INFINITE DefMemPerNode=3000 PriorityTier=100 PreemptMode=OFF
CONF
    touch "$dir/gpu0" "$dir/gpu1"
    echo "Name=gpu File=$dir/gpu[0-1]" >"$dir/gres.conf"
}

# The daemons and, through them, what they start are known by SLURM_CONF in their environment.
members() {
    local file pid
    for file in $(grep -lzxF "SLURM_CONF=$conf" /proc/[0-9]*/environ 2>/dev/null); do
        pid=${file//[!0-9]/}
        if [ "$pid" != $$ ] && [ "$pid" != "$PPID" ]; then echo "$pid"; fi
    done
}

end_all() { # a job may be about to start another process: until a look finds none
    local pid found
    for _ in $(seq 100); do
        found=$(members)
        [ -n "$found" ] || return 0
        for pid in $found; do kill -KILL "$pid" 2>/dev/null || true; done
        sleep 0.1
    done
    echo "sandbox.sh: processes of $dir do not end: $found" >&2
    return 1
}

controller() { SLURM_CONF=$conf slurmctld -f "$conf" >/dev/null 2>&1 </dev/null; }

start() { # NODES CPUS
    local i
    write_conf "$1" "$2" "$(free_ports $(($1 + 1)))"
    controller || return 1
    for i in $(seq "$1"); do
        mkdir -p "$dir/spool/n$i" "$dir/tmp/n$i"
        SLURM_CONF=$conf slurmd -f "$conf" -N "n$i" >/dev/null 2>&1 </dev/null || return 1
    done
    for _ in $(seq 150); do
        [ "$(SLURM_CONF=$conf sinfo -h -t idle -o %D -p main 2>/dev/null)" = "$1" ] && return 0
        sleep 0.2
    done
    return 1
}

up() { # OWNER NODES CPUS
    for program in slurmctld slurmd srun; do
        command -v $program >/dev/null || { echo "sandbox.sh: $program is missing; cluster/setup.sh --tests installs it" >&2; return 69; }
    done
    mkdir -p "$dir"/{state,log,run}
    for _ in 1 2 3; do
        if start "$2" "$3"; then
            SLURM_CONF=$conf setsid bash -c 'tail --pid="$0" -f /dev/null; exec bash "$1" "$2" down' "$1" "$0" "$dir" >/dev/null 2>&1 </dev/null &
            echo "$conf"
            return 0
        fi
        end_all
        rm -rf "$dir/state" && mkdir "$dir/state"
    done
    echo "sandbox.sh: Slurm does not come up:" >&2
    tail -n 5 "$dir"/log/*.log >&2
    return 1
}

case $verb in
up) up "$3" "${4:-1}" "${5:-2}" ;;
down) end_all ;;
controller) controller ;; # again, after a test has killed it
*) echo "sandbox.sh: unknown verb $verb" >&2; exit 2 ;;
esac
