# SPDX-License-Identifier: GPL-2.0
#
# splats.awk: the kernel's complaints in a kernel log, each with what follows
# it.  Exits 1 when there is any.
#
# A test that provokes a complaint declares it first, in the log itself:
#
#	echo "khx-expect: REGEX" > /dev/kmsg
#
# From there on lines that match REGEX are no complaint; "khx-expect:" alone,
# which the test runner writes after each test, ends that.

BEGIN {
	complaint = "WARNING: |BUG: |KASAN: |UBSAN: |kernel BUG at|Kernel panic" \
		"|Oops: |general protection fault|invalid opcode: |divide error: " \
		"|possible circular locking|possible recursive locking" \
		"|possible irq lock inversion|inconsistent lock state" \
		"|suspicious RCU usage|INFO: possible |rcu: INFO: |INFO: rcu_" \
		"|INFO: task .* blocked for more than|soft lockup|hard LOCKUP" \
		"|workqueue lockup|Bad page |bad page state|refcount_t: " \
		"|list_add corruption|list_del corruption|ODEBUG: " \
		"|scheduling while atomic|sleeping function called" \
		"|kmem_cache_destroy|objects remaining|new suspected memory leaks" \
		"|^KHX-LEAK |unregister_netdevice: waiting|page allocation failure" \
		"|stack-protector|usercopy: |memcpy: detected field-spanning" \
		"|nobody cared|leaked reference|Modules are .*tainted" \
		"|Busy inodes after unmount"
	context = 0
}

/khx-expect:/ {
	sub(/.*khx-expect: */, "")
	expected = $0
	next
}

$0 ~ complaint && !(expected != "" && $0 ~ expected) {
	if (context == 0)
		print "--"
	context = 40
	found = 1
}

context > 0 {
	print
	context--
}

END {
	exit found
}
