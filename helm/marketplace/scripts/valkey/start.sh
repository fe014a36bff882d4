# The password goes from file to file: as an argument or a variable, `ps` and /proc would show it. Each byte is written
# as \xHH, so that no character of it means anything to the reader of the configuration.
set -eu
umask 077
bytes=$(printf '%s' "$(cat /etc/valkey-password/password)" | od -An -v -tx1 | tr -d ' \n')
if [ -z "$bytes" ]; then
    echo 'the password of Valkey is empty' >&2
    exit 1
fi
printf 'requirepass "%s"\n' "$(printf '%s' "$bytes" | sed 's/../\\x&/g')" > /run/valkey/password.conf
exec valkey-server /etc/valkey/valkey.conf
