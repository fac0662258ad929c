# veneer: see README.md. `make help` lists the targets.
#
# BUILD     where everything that is made goes                [build]
# CONFIG    release, debug, asan, ubsan                       [release]
# CC CFLAGS CPPFLAGS LDFLAGS PREFIX DESTDIR PKG_CONFIG        as usual
BUILD ?= build
CONFIG ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
INSTALL ?= install
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share
SHAREDIR ?= $(PREFIX)/share/veneer-pull
HELPERDIR ?= $(PREFIX)/lib/veneer-pull
UNITDIR ?= $(PREFIX)/lib/systemd/system

VERSION := 0.1.0
SONAME := libveneer.so.0

# V=1 shows the commands
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $1 $@)

.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
all:

# ---- the house: modules in the order of lib/LAYERS; a module's prerequisites are the modules named behind it
MODULES := $(shell sed -n 's/^\([a-z]*\):.*/\1/p' lib/LAYERS)
uses = $(shell sed -n 's/^$1://p' lib/LAYERS)

# ---- packages, each with a word when it is missing
PKGS := libarchive libcurl jansson libcrypto libssl libzstd libgit2 libisal zlib sqlite3
ifeq ($(filter clean help dist,$(MAKECMDGOALS)),)
MISSING := $(strip $(foreach p,$(PKGS),$(shell $(PKG_CONFIG) --exists $p 2>/dev/null || echo $p)))
ifneq ($(MISSING),)
$(error pkg-config does not find: $(MISSING). On Debian and Ubuntu `./scripts/install-packages build` installs them)
endif
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS))
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS))
comma := ,
empty :=
PKG_VERSIONS := $(subst _, ,$(subst $(empty) ,$(comma)_,$(foreach p,$(PKGS),$p=$(shell $(PKG_CONFIG) --modversion $p))))
endif

CONFIG_FLAGS_release := -O2 -g
CONFIG_FLAGS_debug := -Og -g3
CONFIG_FLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CONFIG_FLAGS_ubsan := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all
CFLAGS ?= $(or $(CONFIG_FLAGS_$(CONFIG)),$(error CONFIG=$(CONFIG) is none of release, debug, asan, ubsan))
WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef -Wpointer-arith -Wwrite-strings \
	-Wformat=2 -Wcast-qual
EXTRA_CFLAGS ?=
ALL_CFLAGS = -std=gnu11 $(WARNINGS) $(CFLAGS) $(EXTRA_CFLAGS) -fPIC -fvisibility=hidden -ffunction-sections \
	-fdata-sections -pthread
ALL_CPPFLAGS = -Iinclude -Ilib -Icmd -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DVN_VERSION='"$(VERSION)"' \
	-DVN_LIBRARIES='"$(subst =, ,$(PKG_VERSIONS))"' $(CPPFLAGS) $(PKG_CFLAGS)
ALL_LIBS = $(PKG_LIBS) -pthread

# ---- sources
SRC_ALL := $(foreach m,$(MODULES),$(wildcard lib/$m/*.c))
SRC_TEST := $(filter $(foreach m,$(MODULES),lib/$m/test_%),$(SRC_ALL))
SRC_FUZZ := $(filter $(foreach m,$(MODULES),lib/$m/fuzz_%),$(SRC_ALL))
SRC_LIB := $(filter-out $(SRC_TEST) $(SRC_FUZZ),$(SRC_ALL))
SRC_CMD_TEST := $(wildcard cmd/*/test_*.c)
SRC_CMD := $(filter-out $(SRC_CMD_TEST),$(wildcard cmd/*/*.c))
OBJ_LIB := $(SRC_LIB:%.c=$(BUILD)/%.o)
OBJ_CMD := $(SRC_CMD:%.c=$(BUILD)/%.o)
TESTS_CMD := $(SRC_CMD_TEST:%.c=$(BUILD)/tests/%)
TESTS := $(SRC_TEST:lib/%.c=$(BUILD)/tests/%) $(TESTS_CMD)
FUZZERS := $(filter-out %/fuzz_main,$(SRC_FUZZ:lib/%.c=$(BUILD)/fuzz/%))

# ---- everything is compiled again when the flags change
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(CC) $(ALL_CFLAGS) $(ALL_CPPFLAGS) $(LDFLAGS))' | cmp -s - $@ || \
	 echo '$(subst ','\'',$(CC) $(ALL_CFLAGS) $(ALL_CPPFLAGS) $(LDFLAGS))' > $@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

define module_rule
$(BUILD)/modules/$1.a: $(patsubst %.c,$(BUILD)/%.o,$(filter lib/$1/%,$(SRC_LIB)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
USES_$1 := $(call uses,$1)
endef
$(foreach m,$(MODULES),$(eval $(call module_rule,$m)))

# A test sees its own module and those below it, as the module itself does.
module_of = $(word 1,$(subst /, ,$1))
archives_of = $(BUILD)/modules/$(call module_of,$1).a $(foreach m,$(USES_$(call module_of,$1)),$(BUILD)/modules/$m.a)
define test_rule
$(BUILD)/tests/$1: $(BUILD)/lib/$1.o $(call archives_of,$1)
	@mkdir -p $$(@D)
	$$(call say,LD)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(LDFLAGS) -o $$@ $$< -Wl,--start-group $(call archives_of,$1) -Wl,--end-group $$(ALL_LIBS)
endef
$(foreach t,$(SRC_TEST:lib/%.c=%),$(eval $(call test_rule,$t)))

# ---- the programs: cmd/PROGRAM and cmd/cli. A test of one sees its other objects, those of cmd/cli and the library.
PROGRAMS := veneer veneer-pull
define program_rule
$(BUILD)/modules/cmd-$1.a: $(filter-out %/main.o,$(filter $(BUILD)/cmd/$1/%,$(OBJ_CMD)))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
$(filter $(BUILD)/tests/cmd/$1/%,$(TESTS_CMD)): $(BUILD)/tests/%: $(BUILD)/%.o $(BUILD)/modules/cmd-$1.a \
		$(BUILD)/modules/cmd-cli.a $(BUILD)/libveneer.a
	@mkdir -p $$(@D)
	$$(call say,LD)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(LDFLAGS) -o $$@ $$^ $$(ALL_LIBS)
endef
$(foreach p,cli $(PROGRAMS),$(eval $(call program_rule,$p)))
$(PROGRAMS:%=$(BUILD)/%): $(BUILD)/%: $(BUILD)/cmd/%/main.o $(BUILD)/modules/cmd-%.a $(BUILD)/modules/cmd-cli.a $(BUILD)/libveneer.a
	$(call say,LD)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,--as-needed -Wl,--gc-sections -o $@ $^ $(ALL_LIBS)

# The same target as a replay program (default) or as a libFuzzer binary (CC=clang FUZZ=libfuzzer).
FUZZ_MAIN = $(if $(filter libfuzzer,$(FUZZ)),,$(BUILD)/lib/util/fuzz_main.o)
FUZZ_LINK = $(if $(filter libfuzzer,$(FUZZ)),-fsanitize=fuzzer)
define fuzz_rule
$(BUILD)/fuzz/$1: $(BUILD)/lib/$1.o $(FUZZ_MAIN) $(call archives_of,$1)
	@mkdir -p $$(@D)
	$$(call say,LD)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(LDFLAGS) $(FUZZ_LINK) -o $$@ $$< $(FUZZ_MAIN) -Wl,--start-group $(call archives_of,$1) -Wl,--end-group $$(ALL_LIBS)
endef
$(foreach t,$(filter-out %/fuzz_main,$(SRC_FUZZ:lib/%.c=%)),$(eval $(call fuzz_rule,$t)))

$(BUILD)/libveneer.a: $(OBJ_LIB)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

$(BUILD)/$(SONAME): $(OBJ_LIB)
	$(call say,LD)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--as-needed -Wl,-z,defs -o $@ $^ $(ALL_LIBS)
	$(Q)ln -sf $(SONAME) $(BUILD)/libveneer.so

$(BUILD)/veneer.pc: Makefile
	@mkdir -p $(@D)
	$(Q)printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' 'Name: veneer' \
	 'Description: thin updates of container images that carry a model' 'Version: $(VERSION)' \
	 'Libs: -L$${libdir} -lveneer' 'Libs.private: -pthread' 'Requires.private: $(PKGS)' 'Cflags: -I$${includedir}' > $@

# ---- what people type
## all          the programs and the library (default)
all: $(PROGRAMS:%=$(BUILD)/%) $(BUILD)/libveneer.a $(BUILD)/$(SONAME) $(BUILD)/veneer.pc
## tests        build every unit test
tests: $(TESTS)
## fuzzers      build every fuzz target with the replay driver
fuzzers: $(FUZZERS)
## check        unit tests, fuzz replay, command-line cases, house rules (scripts/check runs more)
check: all tests fuzzers
	BUILD=$(BUILD) ./scripts/run-tests
## test-MODULE  build and run one module's unit tests and fuzz replay
test-%: FORCE
	$(MAKE) BUILD=$(BUILD) $(filter $(BUILD)/tests/$*/%,$(TESTS)) $(filter $(BUILD)/fuzz/$*/%,$(FUZZERS))
	@set -e; for t in $(filter $(BUILD)/tests/$*/%,$(TESTS)); do echo "# $$t"; $$t; done; \
	for f in $(filter $(BUILD)/fuzz/$*/%,$(FUZZERS)); do n=$$(basename $$f); n=$${n#fuzz_}; \
	 echo "# $$f"; if [ -d testdata/fuzz/$$n ]; then find testdata/fuzz/$$n -type f -print0 | xargs -0 $$f; fi; done

# ---- what is installed, and where
MAN := $(wildcard man/*.[158])
PUBLIC_HEADERS := $(wildcard include/veneer/*.h)
DIST := cmd/veneer-pull/dist
UNITS := $(wildcard $(DIST)/*.service $(DIST)/*.timer)
HELPERS := $(DIST)/veneer-pull-mqtt $(DIST)/veneer-pull-twin
man_place = $(MANDIR)/man$(subst .,,$(suffix $1))/$(notdir $1)
INSTALLED := $(PROGRAMS:%=$(BINDIR)/%) $(LIBDIR)/libveneer.a $(LIBDIR)/$(SONAME) $(LIBDIR)/libveneer.so \
	$(LIBDIR)/pkgconfig/veneer.pc $(PUBLIC_HEADERS:include/%=$(INCLUDEDIR)/%) $(foreach m,$(MAN),$(call man_place,$m)) \
	$(PROGRAMS:%=$(COMPLETIONDIR)/bash-completion/completions/%) $(PROGRAMS:%=$(COMPLETIONDIR)/zsh/site-functions/_%) \
	$(PROGRAMS:%=$(COMPLETIONDIR)/fish/vendor_completions.d/%.fish) $(UNITS:$(DIST)/%=$(UNITDIR)/%) \
	$(HELPERS:$(DIST)/%=$(HELPERDIR)/%) $(SHAREDIR)/veneer-pull.json
## install      programs, library, headers, manual pages, completions, units below DESTDIR
install: all
	$(INSTALL) -d $(sort $(dir $(INSTALLED:%=$(DESTDIR)%)))
	$(INSTALL) -m 755 $(PROGRAMS:%=$(BUILD)/%) $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 644 $(BUILD)/libveneer.a $(DESTDIR)$(LIBDIR)/libveneer.a
	$(INSTALL) -m 755 $(BUILD)/$(SONAME) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libveneer.so
	$(INSTALL) -m 644 $(BUILD)/veneer.pc $(DESTDIR)$(LIBDIR)/pkgconfig/veneer.pc
	$(INSTALL) -m 644 $(PUBLIC_HEADERS) $(DESTDIR)$(INCLUDEDIR)/veneer
	set -e; $(foreach m,$(MAN),$(INSTALL) -m 644 $m $(DESTDIR)$(call man_place,$m);)
	set -e; for p in $(PROGRAMS); do \
	 $(BUILD)/$$p completion bash > $(DESTDIR)$(COMPLETIONDIR)/bash-completion/completions/$$p; \
	 $(BUILD)/$$p completion zsh > $(DESTDIR)$(COMPLETIONDIR)/zsh/site-functions/_$$p; \
	 $(BUILD)/$$p completion fish > $(DESTDIR)$(COMPLETIONDIR)/fish/vendor_completions.d/$$p.fish; done
	$(INSTALL) -m 755 $(HELPERS) $(DESTDIR)$(HELPERDIR)
	$(INSTALL) -m 644 $(DIST)/veneer-pull.json $(DESTDIR)$(SHAREDIR)/veneer-pull.json
	set -e; for u in $(notdir $(UNITS)); do \
	 sed 's#/usr/bin/#$(BINDIR)/#; s#/usr/lib/veneer-pull/#$(HELPERDIR)/#' $(DIST)/$$u > $(DESTDIR)$(UNITDIR)/$$u; \
	 chmod 644 $(DESTDIR)$(UNITDIR)/$$u; done
## uninstall    take exactly that away again
uninstall:
	rm -f $(INSTALLED:%=$(DESTDIR)%)
	-rmdir $(DESTDIR)$(INCLUDEDIR)/veneer $(DESTDIR)$(HELPERDIR) $(DESTDIR)$(SHAREDIR)
## dist         a source archive of HEAD
dist:
	git archive --prefix=veneer-$(VERSION)/ -o veneer-$(VERSION).tar.gz HEAD
## clean        remove the build folder
clean:
	rm -rf $(BUILD)
## help         this list
help:
	@sed -n 's/^## //p' Makefile

FORCE:
.PHONY: all tests fuzzers check install uninstall dist clean help FORCE
-include $(OBJ_LIB:.o=.d) $(OBJ_CMD:.o=.d) $(SRC_TEST:%.c=$(BUILD)/%.d) $(SRC_CMD_TEST:%.c=$(BUILD)/%.d) $(SRC_FUZZ:%.c=$(BUILD)/%.d)
