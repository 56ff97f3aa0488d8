# SPDX-License-Identifier: GPL-2.0
#
# summary.awk: KTAP of any number of runs in, one line out:
# `N passed, N failed, N skipped`.  Exits 1 if any failed, or none ran.
#
# What is counted is each result of each test.  A test itself counts only where
# its results do not tell: it gave none, or it failed with none of them failed
# (time limit, kernel log, crash).

function count(line) {
	if (line ~ /^not ok /)
		failed++
	else if (line ~ /# SKIP/)
		skipped++
	else
		passed++
}

/^  (not )?ok [0-9]/ {
	inner++
	inner_failed += /^  not ok /
	sub(/^  /, "")
	count($0)
	next
}

/^(not )?ok/ {
	if (!inner || (/^not ok/ && !inner_failed))
		count($0)
	if (/^not ok/)
		names = names "\n  " $0
	inner = inner_failed = 0
}

END {
	if (names)
		print "failed:" names
	printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
	exit failed || !passed
}
