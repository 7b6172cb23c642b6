#!/usr/bin/env bash
# One Slurm job of `make slurm`: run `dvc repro` with the given arguments.
#
# Slurm starts the job again, up to $RESTARTS times, if a node fails, if its processes are killed
# (--requeue, see below) or if its time limit is near (--signal). The stage then resumes.
#SBATCH --requeue --signal=B:TERM@60 --open-mode=append
set -uo pipefail
start=$(($(stat --format=%s "$LOG") + 1)) # earlier starts of this job wrote to the same file
echo "$SLURM_JOB_NAME: start $((${SLURM_RESTART_COUNT:-0} + 1)) on $(hostname), $(date)"

dvc --wait-for-lock repro "$@" &
stopped=""
trap 'stopped=yes; kill $!' TERM
wait $!
status=$?
[ -z "$stopped" ] || wait $! # the stage stops at the end of a batch
[ "$status" -ne 0 ] || exit 0

# A line that starts with `error:` names a cause that another start does not remove.
if [ -z "$stopped" ] && tail --bytes="+$start" "$LOG" | grep --quiet '^error: '; then
  why="see the error above"
elif [ "${SLURM_RESTART_COUNT:-0}" -ge "$RESTARTS" ]; then
  why="restarted $RESTARTS times"
elif [ "$(squeue --noheader --jobs "$SLURM_JOB_ID" --format %T)" != RUNNING ]; then
  why="canceled" # Slurm restarts preempted jobs itself
else
  echo "$SLURM_JOB_NAME: stopped with status $status, Slurm starts it again"
  exec scontrol requeue "$SLURM_JOB_ID"
fi
echo "$SLURM_JOB_NAME: failed, $why"
exit 1
