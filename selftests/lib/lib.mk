# SPDX-License-Identifier: GPL-2.0
# Rules for a directory of tests.  Its Makefile sets some of these, then
# includes this file:
#
#   MODULES         our modules that these tests use (loaded by the test host;
#                   elsewhere they must be loaded)
#   TEST_PROGS      scripts to run
#   TEST_GEN_PROGS  C programs to build and run, each from NAME.c or SRCS_NAME
#   TEST_USER_PROGS, TEST_GEN_USER_PROGS
#                   the same for tests that need no module and no root: they
#                   are run by run_user_tests
#   TEST_GUEST_PROGS
#                   scripts that boot Linux guests, run by run_guest_tests
#   TEST_NEWER_PROGS
#                   those of TEST_PROGS that find more on a newer kernel, run there
#                   by run_newer_tests
#   TEST_MINUTES    how long those of TEST_PROGS and TEST_GEN_PROGS take together on the
#                   debug kernel, for who has areas to share out
#   TEST_SLOW_PROGS those of them that are run with KHX_LONG=1 only
#   TEST_GEN_FILES  C programs that tests start
#   TEST_FILES      other files that tests need
#   SRCS_NAME, LDLIBS_NAME, CFLAGS_NAME   for the program NAME
#
# What is built goes to OUTPUT, which tests find in $OUTPUT and in their PATH.
# The file `settings` has `timeout=SECONDS` for all tests of the directory,
# `timeout.TEST=SECONDS` for one of them, `long.TEST=SECONDS` for its long form
# (KHX_LONG=1), and `skip.TEST=REASON` where it may be skipped on the test host.

LIB := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
AREA := $(notdir $(CURDIR))
OUTPUT ?= $(abspath $(LIB)/../../build/selftests/$(AREA))
RUNNER := $(abspath $(LIB))/runner.sh

CFLAGS ?= -O2 -g
override CFLAGS += -Wall -Wextra -std=gnu11 -D_GNU_SOURCE \
	-I$(abspath $(LIB)) -I$(abspath $(LIB)/../../uapi)

PROGRAMS := $(TEST_GEN_PROGS) $(TEST_GEN_USER_PROGS) $(TEST_GEN_FILES)
BUILT := $(addprefix $(OUTPUT)/,$(PROGRAMS))

all: $(BUILT)

$(OUTPUT)/obj:
	mkdir -p $@

$(OUTPUT)/obj/tap.o: $(LIB)/tap.c $(LIB)/tap.h | $(OUTPUT)/obj
	$(CC) $(CFLAGS) -c -o $@ $<

.SECONDEXPANSION:
$(BUILT): $(OUTPUT)/%: $$(or $$(SRCS_$$*),$$*.c) $(OUTPUT)/obj/tap.o
	$(CC) $(CFLAGS) $(CFLAGS_$*) -MMD -MP -MF $(OUTPUT)/obj/$*.d -MT $@ \
		-o $@ $(or $(SRCS_$*),$*.c) $(OUTPUT)/obj/tap.o $(LDLIBS_$*) $(LDLIBS)

-include $(wildcard $(OUTPUT)/obj/*.d)

# TESTS= picks some of them.
run = OUTPUT=$(OUTPUT) $(RUNNER) $(AREA) \
	$(if $(TESTS),$(filter $(TESTS),$(1)),$(1))

run_tests: all
	@$(call run,$(TEST_PROGS) $(TEST_GEN_PROGS))

run_newer_tests: all
	@$(call run,$(TEST_NEWER_PROGS))

# They load nothing: what the kernel says there is no word on us.
run_user_tests: all
	@KHX_NO_KERNEL_LOG=1; export KHX_NO_KERNEL_LOG; $(call run,$(TEST_USER_PROGS) $(TEST_GEN_USER_PROGS))

guest_tests = $(filter-out $(if $(KHX_LONG),,$(TEST_SLOW_PROGS)),$(TEST_GUEST_PROGS))

run_guest_tests: all
	@$(call run,$(guest_tests))

list_tests:
	@echo $(TEST_PROGS) $(TEST_GEN_PROGS)

list_minutes:
	@echo $(or $(TEST_MINUTES),0)

list_newer_tests:
	@echo $(TEST_NEWER_PROGS)

list_guest_tests:
	@echo $(guest_tests)

list_user_tests:
	@echo $(TEST_USER_PROGS) $(TEST_GEN_USER_PROGS)

list_modules:
	@echo $(MODULES)

install: all
	install -d $(INSTALL_PATH)/$(AREA)
	cp -a $(TEST_PROGS) $(TEST_GUEST_PROGS) $(TEST_USER_PROGS) $(TEST_FILES) \
		$(wildcard settings) $(BUILT) $(INSTALL_PATH)/$(AREA)/
	echo "$(TEST_PROGS) $(TEST_GEN_PROGS) $(TEST_GUEST_PROGS)" \
		> $(INSTALL_PATH)/$(AREA)/tests

clean:
	rm -rf $(OUTPUT)

.PHONY: all run_tests run_newer_tests run_user_tests run_guest_tests list_tests \
	list_newer_tests list_minutes list_user_tests list_guest_tests list_modules install clean
