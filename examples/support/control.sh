#!/bin/sh
# SPDX-License-Identifier: MIT
# control.sh VERDICT PROGRAM FLAG...
# Passes only if the program, crippled by the flags, is caught: exit code 1 and the verdict in its report.
verdict=$1
program=$2
shift 2
# Under the thread sanitizer the races are what is wanted here, not a report of them.
report=$(TSAN_OPTIONS=report_bugs=0 "$program" "$@")
code=$?
echo "$report"
[ $code -ne 77 ] || exit 77
[ $code -eq 1 ] || { echo "exit code $code, not 1"; exit 1; }
case $report in
  *"$verdict:"*) ;;
  *) echo "no $verdict reported"; exit 1 ;;
esac
