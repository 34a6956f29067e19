#!/bin/sh
# Runs each line it reads as a command in the background. When its input ends, which it does with the process that
# writes it, however that one ends, it stops them all and removes the folder named by its argument.
trap '' HUP INT TERM
running=
while IFS= read -r line; do
    sh -c "exec $line" </dev/null &
    running="$running $!"
done
if [ -n "$running" ]; then
    kill -9 $running
    wait
fi
rm -rf "$1"
