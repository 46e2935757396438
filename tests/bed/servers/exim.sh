#!/bin/bash
# Exim 4.96, run straight out of an unpacked package: STARTTLS and implicit TLS, AUTH required before MAIL.
#   DIR=… CERT=… EXIM=program USER_NAME=… PASSWORD=… SUBM=… SMTPS=… LMTPPORT=… SIZE_LIMIT=… exim.sh start
#   DIR=… CERT=… exim.sh stop
# Refused: tempfail@ 451, gone@ 550, hangup@ 421 and close, other domains; a body with REJECT-ME or DEFER-ME.
. "$(dirname "$0")/common.sh"
case "$1" in
start)
  account eximtest
  account Debian-exim
  mkdir -p "$DIR/spool" "$DIR/log"
  chown -R eximtest: "$DIR/spool" "$DIR/log"
  install --owner=eximtest --mode=400 "$CERT" "$DIR/tls.pem"
  install --mode=755 "$EXIM" "$DIR/exim4" # it starts itself anew as eximtest, who may not enter the cache
  EXIM="$DIR/exim4"
  cat >"$DIR/exim.conf" <<CONF
exim_path = $EXIM
exim_user = eximtest
exim_group = eximtest
spool_directory = $DIR/spool
log_file_path = $DIR/log/%slog
pid_file_path = $DIR/exim.pid
primary_hostname = exim.test
local_interfaces = <; [$HOST]:$SUBM; [$HOST]:$SMTPS
daemon_smtp_ports = $SUBM : $SMTPS
tls_on_connect_ports = $SMTPS
tls_advertise_hosts = *
tls_certificate = $DIR/tls.pem
tls_privatekey = $DIR/tls.pem
auth_advertise_hosts = \${if eq{\$tls_in_cipher}{}{}{*}}
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
message_size_limit = $SIZE_LIMIT
smtp_accept_max = 100
never_users =
keep_environment =
add_environment = PATH=/usr/bin:/bin
host_lookup =
rfc1413_query_timeout = 0s
allow_utf8_domains = true
acl_smtp_mail = acl_mail
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
begin acl
acl_mail:
  deny !authenticated = *
       message = 530 5.7.0 Authentication required
  accept
acl_rcpt:
  defer local_parts = tempfail
        message = 451 4.7.1 try later
  deny  local_parts = gone
        message = 550 5.1.1 no such user
  drop  local_parts = hangup
        message = 421 4.3.2 closing
  accept domains = mail.test
  deny   message = 550 5.7.1 relay denied
acl_data:
  deny condition = \${if match{\$message_body}{REJECT-ME}}
       message = 554 5.6.0 content refused
  defer condition = \${if match{\$message_body}{DEFER-ME}}
       message = 451 4.6.0 content deferred
  accept
begin routers
all:
  driver = manualroute
  route_data = $HOST
  transport = mailboxes
  self = send
begin transports
mailboxes:
  driver = smtp
  protocol = lmtp
  port = $LMTPPORT
  allow_localhost = true
  hosts_avoid_tls = *
begin retry
* * F,1h,1m
begin authenticators
PLAIN:
  driver = plaintext
  server_set_id = \$auth2
  server_prompts = :
  server_condition = \${if and{{eq{\$auth2}{$USER_NAME}}{eq{\$auth3}{$PASSWORD}}}}
LOGIN:
  driver = plaintext
  server_set_id = \$auth1
  server_prompts = "Username:: : Password::"
  server_condition = \${if and{{eq{\$auth1}{$USER_NAME}}{eq{\$auth2}{$PASSWORD}}}}
CONF
  chmod 644 "$DIR/exim.conf"
  "$EXIM" -C "$DIR/exim.conf" -bd -q1m -oP "$DIR/exim.pid"
  wait_port "$SUBM" && wait_port "$SMTPS"
  ;;
stop) stop_pid "$DIR/exim.pid" ;;
esac
