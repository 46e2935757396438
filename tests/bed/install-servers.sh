#!/bin/bash
# Install what the tests marked "server" and "browser" use: Postfix, Dovecot, Exim, PostgreSQL, Chromium, and
# the MIME readers of Perl and Node. Run it as root on Debian; elsewhere it says what is missing. Quick the second
# time.
set -eu
CACHE=${NINA_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nina-smtp}
PACKAGES="postfix dovecot-core dovecot-imapd dovecot-lmtpd dovecot-submissiond chromium openssl libidn12
  libgnutls-dane0 perl libemail-mime-perl postgresql"

if [ ! -e /etc/debian_version ] || [ "$(id -u)" != 0 ]; then
  for program in postfix dovecot openssl perl node npm; do
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || echo "missing: $program"
  done
  PATH=$PATH:$(echo /usr/lib/postgresql/*/bin | tr ' ' :) command -v postgres >/dev/null || echo "missing: postgres"
  [ -x "$CACHE/exim/usr/sbin/exim4" ] || echo "missing: Exim, unpacked in $CACHE/exim"
  [ -d "$CACHE/node_modules/postal-mime" ] || echo "missing: npm install --prefix $CACHE postal-mime"
  echo "Not root on Debian, so nothing was installed; the tests that need these are skipped."
  exit 0
fi

command -v npm >/dev/null || PACKAGES="$PACKAGES nodejs npm"

updated=
update() { [ -n "$updated" ] || { apt-get update -qq && updated=yes; }; }

wanted=
for package in $PACKAGES; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || wanted="$wanted $package"
done
if [ -n "$wanted" ]; then
  update
  # a server that starts by itself here would only be in the way
  policy=/usr/sbin/policy-rc.d
  [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && trap 'rm -f "$policy"' EXIT; }
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted
fi

mkdir -p "$CACHE"
# The packages of Exim and Postfix exclude each other, so Exim is unpacked beside the system.
if [ ! -x "$CACHE/exim/usr/sbin/exim4" ]; then
  update
  download=$(mktemp -d)
  chmod 755 "$download"
  ! getent passwd _apt >/dev/null || chown _apt "$download"
  (cd "$download" && apt-get download -qq exim4-daemon-light)
  rm -rf "$CACHE/exim.new"
  dpkg -x "$download"/exim4-daemon-light_*.deb "$CACHE/exim.new"
  rm -rf "$CACHE/exim" "$download"
  mv "$CACHE/exim.new" "$CACHE/exim"
fi

if [ ! -d "$CACHE/node_modules/postal-mime" ]; then
  npm install --prefix "$CACHE" --no-audit --no-fund --silent postal-mime@4
fi
echo "everything is in place; Exim and postal-mime are in $CACHE"
