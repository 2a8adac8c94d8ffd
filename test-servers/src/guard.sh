# The guard of one server: `sh -c THIS guard DIRECTORY SIGNAL [REMOVE-COMMAND…]`
#
# Standard input is a pipe whose other end only the owner of the server holds: it ends when the owner lets it go, and the
# kernel lets it go when the owner dies, however that happens. A ^C is meant for the tests; it must not reach the guard.
trap '' HUP INT QUIT TERM
PATH=$PATH:/usr/bin:/bin
directory=$1 signal=$2
shift 2
cat >/dev/null

alive() { kill -0 "$1" && ! grep -q '^State:.*Z' "/proc/$1/status"; }

if [ -e "$directory/server.pid" ] && read -r pid <"$directory/server.pid"; then
    kill "-$signal" "$pid"
    tries=100
    while alive "$pid" && [ "$tries" -gt 0 ]; do
        sleep 0.05
        tries=$((tries - 1))
    done
    alive "$pid" && kill -KILL "$pid"
fi

if [ $# -gt 0 ]; then
    "$@"
    # The owner may have died while the daemon was still creating the container.
    [ -e "$directory/started" ] || { sleep 1; "$@"; }
fi

# A server that was just starting may write for another moment. What cannot be removed is left for the owner's check.
tries=100
until rm -rf "$directory" || [ "$tries" -eq 0 ]; do
    sleep 0.05
    tries=$((tries - 1))
done
