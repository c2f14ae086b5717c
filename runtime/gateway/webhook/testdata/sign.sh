#!/bin/sh
# Prints the signatures of vectors.json, computed by openssl.
set -eu
key=$(printf MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw | base64 -d | od -An -v -tx1 | tr -d ' \n')
printf 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}' | openssl dgst -sha256 -binary -mac HMAC -macopt "hexkey:$key" | openssl base64 -A && echo
printf 'Hello, World!' | openssl dgst -sha256 -r -hmac "It's a Secret to Everybody"
printf '1492774577.{"id":"evt_1","object":"event"}' | openssl dgst -sha256 -r -hmac whsec_0123456789abcdef
printf '1531420618.{"text":"Grüße"}' | openssl dgst -sha512 -binary -hmac 'shared secret of two programs' | openssl base64 -A && echo
printf 'v0:evt_7:1531420618:{"text":"Grüße"}' | openssl dgst -sha256 -r -hmac 'shared secret of two programs'
printf '{"action":"opened"}' | openssl dgst -sha384 -r -hmac 'shared secret of two programs'
