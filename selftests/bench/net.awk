# SPDX-License-Identifier: GPL-2.0
#
# From netgen's lines to one line a case: medians over the rounds, and ours as
# a fraction of mainline's. JSON goes to the file `json`, if set.
#
# Time (in instructions): the generator's own part is taken off first; the
# spread is that of the worst cell. With counts=1: kicks and signals for 1000
# packets instead.

function field(name,    text) {
	if (!match($0, "\"" name "\": \"?[^\",}]*"))
		return ""
	text = substr($0, RSTART, RLENGTH)
	sub(/^[^:]*: "?/, "", text)
	return text
}

function sorted(key,    i, j, n, t) {
	n = count[key]
	for (i = 1; i <= n; i++)
		v[i] = value[key, i]
	for (i = 1; i < n; i++)
		for (j = i + 1; j <= n; j++)
			if (v[j] < v[i]) { t = v[i]; v[i] = v[j]; v[j] = t }
	return n
}

function median(key,    n) {
	n = sorted(key)
	if (!n)
		return 0
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

function spread(key,    n) {
	n = sorted(key)
	return n && median(key) ? (v[n] - v[1]) / median(key) : 0
}

function add(key, number) {
	value[key, ++count[key]] = number
}

function ratio(ours, theirs) {
	return theirs > 0 ? ours / theirs : 0
}

/^{/ {
	name = field("case")
	if (!(name in seen)) {
		seen[name] = 1
		order[++cases] = name
	}
	who = field("ring")
	if (field("device") ~ /vhost/)
		who = "vhost"
	else if (field("device") == "none")
		who = "none " who
	key = name SUBSEP who
	add(key, field("ns_per_packet") + 0)
	add(key SUBSEP "kicks", 1000 * field("kicks") / field("packets"))
	add(key SUBSEP "signals", 1000 * field("signals") / field("packets"))
}

function emit(text) {
	if (json)
		printf "%s", text > json
}

# The device's part of a cell: the whole less the generator's.
function part(name, who,    own) {
	own = median(name SUBSEP "none " (who == "packed" ? who : "split"))
	return median(name SUBSEP who) - own
}

function worst_spread(name,    worst, i, s, who) {
	split("vhost,split,packed", who, ",")
	for (i = 1; i <= 3; i++) {
		s = spread(name SUBSEP who[i])
		worst = s > worst ? s : worst
	}
	return worst
}

function row_time(name,    theirs, split_, packed, text) {
	theirs = part(name, "vhost")
	split_ = part(name, "split")
	packed = part(name, "packed")
	printf "%-18s %9.0f %9.0f %9.0f %6.3f %9.0f %6.3f %7.2f%%\n", name,
		median(name SUBSEP "none split"), theirs, split_,
		ratio(split_, theirs), packed, ratio(packed, theirs),
		100 * worst_spread(name)
	if (ratio(split_, theirs) > 1 || ratio(packed, theirs) > 1)
		above = above (above ? ", " : "") name
	text = "{\"case\": \"%s\", \"generator\": %.1f, \"vhost\": %.1f, " \
	       "\"split\": %.1f, \"packed\": %.1f, \"split_ratio\": %.4f, " \
	       "\"packed_ratio\": %.4f, \"spread\": %.4f}"
	emit(sprintf(text, name, median(name SUBSEP "none split"), theirs,
		     split_, packed, ratio(split_, theirs),
		     ratio(packed, theirs), worst_spread(name)))
}

function row_counts(name,    i, who, key, what, cell) {
	split("vhost,split,packed", who, ",")
	printf "%-18s", name
	emit(sprintf("{\"case\": \"%s\"", name))
	for (what = 1; what <= 2; what++)
		for (i = 1; i <= 3; i++) {
			key = what == 1 ? "kicks" : "signals"
			cell = name SUBSEP who[i] SUBSEP key
			printf " %7.1f %6s", median(cell),
				sprintf("+-%.0f%%", 50 * spread(cell))
			emit(sprintf(", \"%s_%s\": %.2f", who[i], key,
				     median(cell)))
		}
	printf "\n"
	emit("}")
}

END {
	if (counts)
		printf "%-18s %-44s %s\n%-18s", "per 1000 packets", "kicks",
			"signals", ""
	if (counts)
		for (i = 1; i <= 2; i++)
			printf " %-14s %-14s %-13s", "vhost-net", "khx split",
				"khx packed"
	else
		printf "%-18s %9s %9s %9s %6s %9s %6s %8s",
			"instructions", "generator", "vhost-net", "khx split",
			"ratio", "packed", "ratio", "spread"
	printf "\n"
	emit("[")
	for (i = 1; i <= cases; i++) {
		emit(i == 1 ? "" : ",\n ")
		if (counts)
			row_counts(order[i])
		else
			row_time(order[i])
	}
	emit("]\n")
	if (above)
		printf "more than mainline: %s\n", above
}
