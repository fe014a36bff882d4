# Ready: it answers as one that has loaded its data. A full disk (MISCONF) still lets jobs be read, so it is ready too.
REDISCLI_AUTH=$(cat /run/secrets/valkey-password)
export REDISCLI_AUTH
case "$(valkey-cli ping 2>/dev/null)" in
  PONG | *MISCONF*) exit 0 ;;
  *) exit 1 ;;
esac
