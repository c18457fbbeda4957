# Builds and installs the extension with PGXS.  See README.md.
#
# Out of tree, too: "make -f ../Makefile" in an empty directory, or "make -C DIR -f SOURCE/Makefile".

# The directory of this file, as PGXS finds it; names below are relative to it.
source := $(or $(VPATH),$(dir $(firstword $(MAKEFILE_LIST))))
sources = $(sort $(patsubst $(source)/%,%,$(wildcard $(addprefix $(source)/,$(1)))))

EXTENSION = qvec qvec_pgvector
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" '$(source)/qvec.control')
MODULE_big = qvec

# The install scripts and the regression tests share sql/: an install script
# carries its version after two dashes, a test is one plain word a topic.
DATA := $(call sources,sql/*--*.sql)
TESTS := $(filter-out $(DATA),$(call sources,sql/*.sql))

# One object a source file, floors in order (src/README.md).
OBJS := $(patsubst %.c,%.o,$(call sources,src/*.c src/*/*.c))

REGRESS = $(patsubst sql/%.sql,%,$(TESTS))
REGRESS_OPTS = --inputdir=$(srcdir) --load-extension=qvec

PG_CPPFLAGS = -I$(srcdir)/src
# Kernels give the same bits at every level: no contraction to fused multiply-add.
PG_CFLAGS = -std=gnu11 -O3 -ffp-contract=off -Wno-declaration-after-statement $(WERROR)
# Nothing here gains from inlining into JIT code, and per-function instruction
# sets do not survive it: no bitcode.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Floors 0 to 2, which do not see pg_config.h, assert where the server does.
ifneq ($(shell grep -c 'define USE_ASSERT_CHECKING 1' $(includedir_server)/pg_config.h),0)
override CPPFLAGS += -DQV_ASSERTIONS
endif

# Sources are looked for in the source tree, objects never: it may have been built in as well.
srcdir := $(srcdir)
override VPATH :=
vpath %.c $(srcdir)
vpath %.control $(srcdir)
$(OBJS): | $(sort $(dir $(OBJS)))
$(sort $(dir $(OBJS))):
	@mkdir -p $@

# PGXS knows no headers.  Objects of two versions of one would crash the server.
$(OBJS): $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h)

# What git has at the last commit, as a tarball in the current directory.
DISTNAME = qvec-$(EXTVERSION)
.PHONY: dist
dist:
	git -C '$(srcdir)' archive --format=tar.gz --prefix='$(DISTNAME)/' --output='$(CURDIR)/$(DISTNAME).tar.gz' HEAD
