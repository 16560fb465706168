#!/bin/sh
# Pebble, Let's Encrypt's test CA, for the demo profile of docker-compose.yml: makes itself a certificate, then serves.
# Its directory is https://pebble:14000/dir, and what it is trusted by stands in $PEBBLE_HOME/root.pem.
# For trying things out only: whoever trusts that root trusts anybody who can read this folder.
set -eu

home=${PEBBLE_HOME:-/pebble}
dns=${PEBBLE_DNS:-127.0.0.1:8053}
# Where it looks for the http-01 answer, on the address that its DNS gives for every name.
acme_port=${PEBBLE_HTTP_PORT:-8888}

umask 077
cd "$home"
if [ ! -s server.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Certherd demo root" \
    -addext "basicConstraints=critical,CA:TRUE" -keyout root.key -out root.new 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=pebble" \
    -keyout server.key -out server.csr 2>/dev/null
  printf 'subjectAltName=DNS:pebble,DNS:localhost,IP:127.0.0.1\n' > server.ext
  openssl x509 -req -in server.csr -CA root.new -CAkey root.key -set_serial 1 -days 3650 -extfile server.ext \
    -out server.new 2>/dev/null
  chmod 644 root.new
  mv root.new root.pem
  mv server.new server.pem
fi

cat > pebble.json <<EOF
{
  "pebble": {
    "listenAddress": "0.0.0.0:14000",
    "managementListenAddress": "0.0.0.0:15000",
    "certificate": "$home/server.pem",
    "privateKey": "$home/server.key",
    "httpPort": $acme_port,
    "tlsPort": 5001,
    "externalAccountBindingRequired": false,
    "certificateValidityPeriod": 7776000
  }
}
EOF

export PEBBLE_VA_NOSLEEP="${PEBBLE_VA_NOSLEEP:-1}" PEBBLE_WFE_NONCEREJECT="${PEBBLE_WFE_NONCEREJECT:-5}"
exec pebble -config "$home/pebble.json" -dnsserver "$dns"
