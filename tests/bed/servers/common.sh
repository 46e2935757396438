# What the servers' scripts share; source it. Everything lives in DIR, on loopback, on ports from outside.
set -euo pipefail
: "${DIR:?the folder of this server}" "${CERT:?a PEM file with key and certificate}"
HOST=127.0.0.1

account() { # an account of the system for the server to run as; another run may make it at the same moment
  local try
  for try in $(seq 1 100); do
    getent passwd "$1" >/dev/null && return 0
    useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$1" 2>/dev/null || sleep 0.05
  done
  echo "there is no account $1" >&2
  return 1
}

wait_port() { # until something listens there, for 10 seconds at most
  for _ in $(seq 1 200); do
    if (exec 3<>"/dev/tcp/$HOST/$1") 2>/dev/null; then return 0; fi
    sleep 0.05
  done
  echo "port $1 is not up" >&2
  return 1
}

stop_pid() { # end one process and wait until it is gone, for 10 seconds at most
  [ -s "$1" ] || return 0
  local pid
  pid=$(tr -d ' \n' <"$1")
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 1 200); do
    kill -0 "$pid" 2>/dev/null || return 0
    # ended, and only its parent, which may be slow or asleep in a container, has not yet noticed
    grep -qs '^State:[[:space:]]*Z' "/proc/$pid/status" && return 0
    sleep 0.05
  done
  echo "process $pid did not end" >&2
  return 1
}
