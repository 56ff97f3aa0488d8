# SPDX-License-Identifier: GPL-2.0
# Rules for the directory of a tool.  Its Makefile sets these, then includes
# this file:
#
#   PROGRAM     its name
#   SRCS        its sources; those in lib/ as ../lib/x.c
#   PKGS        libraries, as pkg-config knows them
#   MAN8        man pages
#   COMPLETION  bash completion, or nothing
#
# Everything that is built goes to OUTPUT.

TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
OUTPUT ?= $(TOP)/build/tools
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
PKG_CONFIG ?= pkg-config

CFLAGS ?= -O2 -g
override CFLAGS += -Wall -Wextra -std=gnu11 -D_GNU_SOURCE \
	-I$(TOP)/uapi -I$(TOP)/tools/lib $(shell $(PKG_CONFIG) --cflags $(PKGS))
LDLIBS += $(shell $(PKG_CONFIG) --libs $(PKGS))

OBJDIR := $(OUTPUT)/obj/$(PROGRAM)
OBJS := $(addprefix $(OBJDIR)/,$(notdir $(SRCS:.c=.o)))
vpath %.c $(sort $(dir $(SRCS)))

ifneq ($(V),1)
quiet = @echo "  $(1)	$(notdir $@)";
endif

all: $(OUTPUT)/$(PROGRAM)

$(OUTPUT)/$(PROGRAM): $(OBJS)
	$(call quiet,LD)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(OBJDIR)/%.o: %.c | $(OBJDIR)
	$(call quiet,CC)$(CC) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

$(OBJDIR):
	@mkdir -p $@

-include $(OBJS:.o=.d)

install: all
	install -D -m 755 $(OUTPUT)/$(PROGRAM) $(DESTDIR)$(SBINDIR)/$(PROGRAM)
	$(if $(MAN8),install -D -m 644 -t $(DESTDIR)$(MANDIR)/man8 $(MAN8))
	$(if $(COMPLETION),install -D -m 644 $(COMPLETION) \
		$(DESTDIR)$(COMPLETIONDIR)/$(PROGRAM))

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/$(PROGRAM)
	rm -f $(addprefix $(DESTDIR)$(MANDIR)/man8/,$(MAN8))
	$(if $(COMPLETION),rm -f $(DESTDIR)$(COMPLETIONDIR)/$(PROGRAM))

clean:
	rm -rf $(OBJDIR) $(OUTPUT)/$(PROGRAM)

.PHONY: all install uninstall clean
