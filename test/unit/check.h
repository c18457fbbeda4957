/*
 * check.h
 *		The few things a plain C test program needs: TAP output and guarded memory.
 *
 * A program calls ok() as often as it likes and ends with
 * "return done_testing();", which prints the plan and gives the exit status.
 * Passing checks print one line each, so a loop over thousands of cases counts
 * its mismatches and calls ok() once.  Knows nothing of what is tested.
 * The Makefile here builds and runs the programs.
 */
#ifndef QV_CHECK_H
#define QV_CHECK_H

#ifndef _DEFAULT_SOURCE
#error "compile with -D_DEFAULT_SOURCE (the Makefile here does): MAP_ANONYMOUS needs it"
#endif

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int	check_count = 0;
static int	check_failures = 0;

#define ok(cond, ...) check_report((cond), __FILE__, __LINE__, __VA_ARGS__)
#define skip_ok(...) check_skip(__VA_ARGS__)

/* Print one TAP line; returns cond, so that a test can give up early. */
static inline __attribute__((format(printf, 4, 5))) bool
check_report(bool cond, const char *file, int line, const char *fmt,...)
{
	va_list		args;

	check_count++;
	printf("%s %d - ", cond ? "ok" : "not ok", check_count);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	if (!cond)
	{
		check_failures++;
		printf("#   failed at %s:%d\n", file, line);
	}
	fflush(stdout);
	return cond;
}

/* A check that cannot be made on this machine, and why. */
static inline __attribute__((format(printf, 1, 2))) void
check_skip(const char *fmt,...)
{
	va_list		args;

	check_count++;
	printf("ok %d # SKIP ", check_count);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

/* The plan, and the exit status: a program without any check has failed too. */
static inline int
done_testing(void)
{
	printf("1..%d\n", check_count);
	if (check_failures > 0)
		printf("# %d of %d checks failed\n", check_failures, check_count);
	return check_failures > 0 || check_count == 0;
}

/* ---- memory between two pages that trap ---- */

typedef struct GuardedMemory
{
	uint8_t    *start;			/* the first usable byte; the byte before it traps */
	uint8_t    *end;			/* the byte after the last usable one; it traps */
	void	   *map;
	size_t		map_nbytes;
} GuardedMemory;

/* At least nbytes of zeroed memory between two trapping pages. */
static inline GuardedMemory
guarded_alloc(size_t nbytes)
{
	GuardedMemory mem;
	size_t		page = (size_t) sysconf(_SC_PAGESIZE);
	size_t		usable = (nbytes + page - 1) / page * page;

	if (usable == 0)
		usable = page;
	mem.map_nbytes = usable + 2 * page;
	mem.map = mmap(NULL, mem.map_nbytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem.map == MAP_FAILED)
	{
		perror("mmap");
		exit(2);
	}
	mem.start = (uint8_t *) mem.map + page;
	mem.end = mem.start + usable;
	if (mprotect(mem.start, usable, PROT_READ | PROT_WRITE) != 0)
	{
		perror("mprotect");
		exit(2);
	}
	return mem;
}

static inline void
guarded_free(GuardedMemory *mem)
{
	munmap(mem->map, mem->map_nbytes);
	mem->map = NULL;
}

/* ---- seeded pseudo-random numbers: the same on every machine ---- */

/* splitmix64 (Steele, Lea, Flood 2014); *state may start at any value */
static inline uint64_t
check_random(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* uniform in [0, 1) */
static inline double
check_uniform(uint64_t *state)
{
	return (double) (check_random(state) >> 11) / 9007199254740992.0;	/* 2^53 */
}

/* For qsort(). */
static inline int
compare_u64(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return (x > y) - (x < y);
}

static inline int
compare_u32(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

#endif							/* QV_CHECK_H */
