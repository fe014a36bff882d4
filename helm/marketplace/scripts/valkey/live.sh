# Alive: it answers anything. Without the password, for a wrong one is no reason to restart a server.
test -n "$(valkey-cli -t 3 ping 2>/dev/null)"
