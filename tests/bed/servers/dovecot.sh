#!/bin/bash
# Dovecot 2.3: who may log in (for Postfix too), the mailboxes (LMTP in, IMAP out), and a submission port.
#   DIR=… CERT=… USERS=… AUTHPORT=… LMTPPORT=… IMAPSPORT=… SUBPORT=… RELAYPORT=… INTROSPECT=URL dovecot.sh start
#   DIR=… CERT=… dovecot.sh stop
# USERS is a passwd-file. Any mailbox can be read as <mailbox>*reader with the password "reader".
. "$(dirname "$0")/common.sh"
case "$1" in
start)
  account vmail
  mkdir -p "$DIR/base" "$DIR/mail"
  chown vmail: "$DIR/mail"
  printf 'reader:{PLAIN}reader::::::\n' >"$DIR/masters"
  chmod 644 "$DIR/masters" "$USERS"
  cat >"$DIR/oauth2.conf.ext" <<CONF
introspection_mode = post
introspection_url = $INTROSPECT
username_attribute = username
active_attribute = active
active_value = true
timeout_msecs = 2000
CONF
  cat >"$DIR/dovecot.conf" <<CONF
base_dir = $DIR/base
state_dir = $DIR/base
log_path = $DIR/dovecot.log
instance_name = bed-$$
listen = $HOST
protocols = imap lmtp submission
hostname = mail.test
submission_relay_host = $HOST
submission_relay_port = $RELAYPORT
submission_relay_trusted = yes
ssl = yes
ssl_cert = <$CERT
ssl_key = <$CERT
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = yes
login_trusted_networks =
auth_mechanisms = plain login xoauth2 oauthbearer
auth_failure_delay = 0
auth_username_chars =
auth_master_user_separator = *
auth_verbose = yes
mail_location = maildir:$DIR/mail/%n
mail_uid = vmail
mail_gid = vmail
mail_fsync = never
first_valid_uid = 1
default_login_user = dovenull
default_internal_user = dovecot
passdb {
  driver = passwd-file
  master = yes
  args = $DIR/masters
}
passdb {
  driver = passwd-file
  args = username_format=%u $USERS
}
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = $DIR/oauth2.conf.ext
}
userdb {
  driver = static
  args = uid=vmail gid=vmail home=$DIR/mail/%n allow_all_users=yes
}
service auth {
  inet_listener postfix {
    address = $HOST
    port = $AUTHPORT
  }
}
service lmtp {
  unix_listener lmtp {
    mode = 0600
  }
  inet_listener lmtp {
    address = $HOST
    port = $LMTPPORT
  }
}
service imap-login {
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = $IMAPSPORT
    ssl = yes
  }
  chroot =
}
service submission-login {
  inet_listener submission {
    port = $SUBPORT
  }
  inet_listener submissions {
    port = 0
  }
  chroot =
}
service anvil {
  chroot =
  # a wrong password must not slow down the next test
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service stats {
  chroot =
}
protocol imap {
  mail_max_userip_connections = 0
}
protocol lmtp {
  postmaster_address = postmaster@mail.test
}
CONF
  dovecot -c "$DIR/dovecot.conf"
  wait_port "$AUTHPORT" && wait_port "$LMTPPORT" && wait_port "$IMAPSPORT" && wait_port "$SUBPORT"
  ;;
stop) stop_pid "$DIR/base/master.pid" ;;
esac
