# Ready: it answers as one that has loaded its data and takes our password. On a full disk (MISCONF) jobs can still be
# read, so it stays ready.
REDISCLI_AUTH=$(cat /run/secrets/valkey-password)
export REDISCLI_AUTH
case "$(timeout 3 valkey-cli ping 2>/dev/null)" in
    PONG | MISCONF*) exit 0 ;;
    *) exit 1 ;;
esac
