# SPDX-License-Identifier: GPL-2.0
# khx: see README, or `make help`.

KDIR ?= /lib/modules/$(shell uname -r)/build
PREFIX ?= /usr/local
VERSION := $(shell sed -n 's/.*KHX_VERSION "\(.*\)"/\1/p' uapi/linux/khx_version.h)
export PREFIX

# The order of help.
all: modules tools ## the modules for the running kernel (KDIR= for another), and the tools

modules:
	@[ -d "$(KDIR)" ] || { \
		echo "khx: error: no kernel headers at $(KDIR); install them" \
		     "(Debian: linux-headers-amd64) or say KDIR=DIR" >&2; exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

tools:
	$(MAKE) -C tools all

demo: setup ## the main job on real guests, in a test host (all set-up included)
	selftests/vm/demo

check: setup ## the tests, in test hosts, but for the longest (T="net core": areas; K=6.12: kernel)
	selftests/vm/check $(if $(K),--kernel $(K)) $(T)

check-slow: setup ## all tests, with every Linux guest and long form: hours
	KHX_LONG=1 selftests/vm/check $(T)

check-debug: setup ## most of the modules', on a kernel with KASAN, lockdep, kmemleak
	selftests/vm/check --kernel debug $(T)

bench: setup ## benchmarks beside their peers (B=net for one)
	@for bench in $(or $(B),$(notdir $(basename $(wildcard selftests/bench/*.sh)))); do \
		selftests/bench/$$bench.sh || exit; \
	done

style: setup ## checkpatch, sparse, kernel-doc, cppcheck on our code
	-@selftests/vm/setup selftests/vm/style-packages
	selftests/vm/style

setup:
	@selftests/vm/setup

install: modules tools ## modules, tools and man pages (PREFIX=, DESTDIR=)
	$(MAKE) -C $(KDIR) M=$(CURDIR) INSTALL_MOD_PATH=$(DESTDIR) modules_install
	$(MAKE) -C tools install

uninstall: ## the reverse
	$(MAKE) -C tools uninstall
	@# Where modules_install puts them depends on the kernel's version.
	rm -f $(foreach dir,extra updates,$(DESTDIR)/lib/modules/*/$(dir)/kmod/*/khx*.ko*)
	-[ -n "$(DESTDIR)" ] || depmod

dkms: ## give the modules' source to DKMS, which builds them for each kernel
	tools/package/source $(VERSION) $(DESTDIR)/usr/src/khx-$(VERSION)
	-[ -n "$(DESTDIR)" ] || dkms install khx/$(VERSION)

deb: ## Debian packages khx (tools) and khx-dkms (modules) in build/deb
	tools/package/deb $(VERSION) build/deb

clean-modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) clean

clean: ## remove what `make` built; `rm -rf build` removes the rest
	-[ ! -d "$(KDIR)" ] || $(MAKE) -C $(KDIR) M=$(CURDIR) clean
	$(MAKE) -C tools clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: all modules tools demo check check-slow check-debug bench style setup install \
	uninstall dkms deb clean clean-modules help
