#!/bin/sh
# Cluster API's Tilt setup starts a manager as `sh /start.sh COMMAND...`; it restarts it for live updates, which
# need a Go binary. Here the pod is started anew instead.
exec "$@"
