# What "pytest -v -rs" prints, with a line of TAP for each test and a word on what was skipped.
{ print "# " $0 }
/ (PASSED|FAILED|ERROR)( +\[ *[0-9]+%\])?$/ {
    verdict = $0 ~ / PASSED( +\[ *[0-9]+%\])?$/ ? "ok" : "not ok"
    name = $0
    sub(/ (PASSED|FAILED|ERROR)( +\[ *[0-9]+%\])?$/, "", name)
    print verdict " " ++count " - " name
}
/^SKIPPED \[[0-9]+\]/ {
    reason = $0
    sub(/^SKIPPED \[[0-9]+\] /, "", reason)
    sub(/:[0-9]+: /, ": ", reason)
    print "skipped: " reason
}
END { print "1.." count + 0 }
