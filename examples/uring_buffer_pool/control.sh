#!/bin/sh
# Passes only if the program without pins is caught corrupting data: exit code 1 and corruption in its report.
program=$1
shift
# Under the thread sanitizer the races are what is wanted here, not a report of them.
report=$(TSAN_OPTIONS=report_bugs=0 "$program" --no-pins "$@")
code=$?
echo "$report"
[ $code -ne 77 ] || exit 77
[ $code -eq 1 ] || { echo "exit code $code, not 1"; exit 1; }
case $report in
  *CORRUPT:*) ;;
  *) echo "no corruption reported"; exit 1 ;;
esac
