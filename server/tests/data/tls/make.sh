#!/bin/sh
# Makes the certificates that the tests of server/src/tls.rs read. The files are
# committed; run this again only to change what they hold.
set -eu
cd "$(dirname "$0")"
days=36500
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"; }
sign() { # NAME ISSUER EXTENSIONS
    key "$1.key"
    openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
    printf '%s\n' "$3" >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days $days \
        -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}
key root.key
openssl req -x509 -new -key root.key -subj /CN=root -days $days -out root.pem
sign middle root 'basicConstraints=critical,CA:TRUE'
sign leaf middle 'subjectAltName=DNS:mail.example.org,IP:127.0.0.1'
cat middle.pem root.pem >above.pem
openssl pkcs12 -export -in leaf.pem -inkey leaf.key -passout pass:secret -out modern.p12
openssl pkcs12 -export -legacy -in leaf.pem -inkey leaf.key -passout pass:secret -out legacy.p12
openssl pkcs12 -export -in leaf.pem -inkey leaf.key -passout pass: -out empty-password.p12
openssl pkcs12 -export -in leaf.pem -inkey leaf.key -certfile above.pem -passout pass:secret \
    -out chain.p12
openssl pkcs12 -export -nokeys -in leaf.pem -passout pass:secret -out no-key.p12
openssl pkcs12 -export -in leaf.pem -inkey leaf.key -passout pass:'pä ß' -out unicode.p12
openssl pkcs8 -topk8 -in leaf.key -passout pass:secret -out encrypted.key
cat leaf.key leaf.pem middle.pem >together.pem
openssl x509 -in leaf.pem -outform der -out leaf.der
rm -f ./*.csr ./*.ext ./*.srl above.pem middle.key root.key
