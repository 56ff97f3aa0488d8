# SPDX-License-Identifier: GPL-2.0
# khx: see README, or `make help`.

KDIR ?= /lib/modules/$(shell uname -r)/build

all: modules tools

modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

tools tools-install tools-uninstall tools-clean:
	$(MAKE) -C tools $(patsubst tools-%,%,$(@:tools=all))

clean: tools-clean
	$(MAKE) -C $(KDIR) M=$(CURDIR) clean

.PHONY: all modules tools tools-install tools-uninstall tools-clean clean
