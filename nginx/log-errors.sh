#!/bin/sh
# Writes what nginx prints to stderr, line by line, as JSON: its error log has no format of its own.
set -eu
exec mawk -W interactive '{
  level = match($0, /\[[a-z]+\]/) ? toupper(substr($0, RSTART + 1, RLENGTH - 2)) : "ERROR"
  message = RSTART ? substr($0, RSTART) : $0
  # It may quote a request.
  gsub(/[\\"]/, "\\\\&", message)
  gsub(/[\001-\037\177-\377]/, "?", message)
  time = strftime("%Y-%m-%dT%H:%M:%SZ", systime(), 1)
  printf "{\"time\":\"%s\",\"level\":\"%s\",\"logger\":\"nginx.error\",\"message\":\"%s\"}\n", time, level, message
}'
