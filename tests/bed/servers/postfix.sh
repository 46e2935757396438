#!/bin/bash
# Postfix 3.7 with its own configuration, queue and data; it asks Dovecot who may log in and delivers by LMTP.
#   DIR=… CERT=… USER_NAME=… SUBM=… SMTPS=… RELAYPORT=… PLAINAUTH=… AUTHPORT=… LMTPPORT=… SIZE_LIMIT=… postfix.sh start
#   DIR=… CERT=… postfix.sh stop
# SUBM: STARTTLS before AUTH; SMTPS: TLS at once; RELAYPORT: plain, no AUTH, trusts loopback;
# PLAINAUTH: AUTH offered without TLS, which a careful client refuses. Nothing ever leaves this machine.
. "$(dirname "$0")/common.sh"
C="$DIR/conf"
case "$1" in
start)
  mkdir -p "$C/postfix-files.d" "$DIR/queue/pid" "$DIR/data"
  chown postfix "$DIR/data"
  cp /etc/postfix/postfix-files "$C/"
  cat >"$DIR/rcpt" <<'MAP'
tempfail@mail.test   451 4.7.1 try later
greylist@mail.test   450 4.2.0 Greylisted, see http://x.test
full@mail.test       452 4.2.2 Mailbox full
gone@mail.test       550 5.1.1 No such user here
policy@mail.test     554 5.7.1 Policy
ratelimit@mail.test  451 4.7.650 The mail server has been temporarily rate limited
hangup@mail.test     521 5.3.2 go away
shut@mail.test       421 4.3.2 shutting down
MAP
  printf 'alice@mail.test %s\nbob@mail.test bob@mail.test\n' "$USER_NAME" >"$DIR/senders"
  cat >"$DIR/mailboxes" <<'MAP'
/^(alice|bob|carol(\+.*)?|ok-.*|.*[^ -~].*|".*")@mail\.test$/ ok
MAP
  cat >"$C/main.cf" <<CONF
compatibility_level = 3.6
queue_directory = $DIR/queue
data_directory = $DIR/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
shlib_directory = /usr/lib/postfix
meta_directory = $C
mail_owner = postfix
setgid_group = postdrop
maillog_file = $DIR/mail.log
maillog_file_prefixes = $DIR
inet_interfaces = $HOST
inet_protocols = ipv4
smtp_bind_address = $HOST
myhostname = mail.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
local_transport = error:no local
mynetworks = 127.0.0.0/8
relay_domains =
virtual_mailbox_domains = mail.test
virtual_mailbox_maps = regexp:$DIR/mailboxes
virtual_transport = lmtp:inet:$HOST:$LMTPPORT
default_transport = error:5.7.1 outside mail is off in this test server
smtpd_relay_restrictions = permit_sasl_authenticated, permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:$DIR/rcpt, reject_unlisted_recipient
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:$HOST:$AUTHPORT
smtpd_sasl_auth_enable = no
smtpd_tls_chain_files = $CERT
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtpd_tls_session_cache_database =
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_client_event_limit_exceptions =
smtpd_delay_reject = no
smtpd_hard_error_limit = 50
smtpd_soft_error_limit = 40
smtpd_error_sleep_time = 0
smtpd_forbid_bare_newline = reject
smtpd_forbid_bare_newline_exclusions =
smtputf8_enable = yes
message_size_limit = $SIZE_LIMIT
mailbox_size_limit = 0
virtual_mailbox_limit = 0
bounce_queue_lifetime = 1m
maximal_queue_lifetime = 1m
minimal_backoff_time = 5s
maximal_backoff_time = 10s
queue_run_delay = 5s
CONF
  cat >"$C/master.cf" <<CONF
$HOST:$RELAYPORT inet n - n - - smtpd
$HOST:$SUBM inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_auth_only=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_sender_login_maps=texthash:$DIR/senders
  -o smtpd_sender_restrictions=reject_sender_login_mismatch
$HOST:$SMTPS inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
$HOST:$PLAINAUTH inet n - n - - smtpd
  -o smtpd_tls_security_level=none
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_auth_only=no
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
lmtp      unix  - - n - - lmtp
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
CONF
  postfix -c "$C" start
  wait_port "$SUBM" && wait_port "$SMTPS" && wait_port "$RELAYPORT" && wait_port "$PLAINAUTH"
  ;;
stop) stop_pid "$DIR/queue/pid/master.pid" ;;
esac
