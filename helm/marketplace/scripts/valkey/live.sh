# Alive: it answers anything. Without the password, for a wrong one is no reason to restart a server.
test -n "$(timeout 3 valkey-cli ping 2>/dev/null)"
