# Builds and installs the extension with PGXS.  See README.md.

EXTENSION = qvec qvec_pgvector
EXTVERSION = 0.1.0
MODULE_big = qvec
DATA = sql/qvec--$(EXTVERSION).sql sql/qvec_pgvector--$(EXTVERSION).sql

# One object a source file, floors in order (src/README.md).
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))

# The install script and the regression tests share sql/: the install script
# carries its version after two dashes, a test is one plain word a topic.
TESTS = $(foreach file,$(sort $(wildcard sql/*.sql)),$(if $(findstring --,$(file)),,$(file)))
REGRESS = $(patsubst sql/%.sql,%,$(TESTS))
REGRESS_OPTS = --inputdir=. --load-extension=qvec

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

# PGXS knows no headers.  Objects of two versions of one would crash the server.
$(OBJS): $(wildcard src/*.h src/*/*.h)
