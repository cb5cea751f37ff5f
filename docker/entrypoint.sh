#!/bin/sh
# What a container runs: the command it was given. dumb-init, the container's first process, starts this
# and passes signals on: a first process itself would not be ended by a signal that it does not handle yet.
set -eu
if [ "${1:-}" = caffe ]; then
  # `docker stop` and Kubernetes send SIGTERM, and Caffe makes a snapshot at SIGINT.
  exec dumb-init --single-child --rewrite 15:2 -- "$@"
fi
exec "$@"
