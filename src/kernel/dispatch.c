/*
 * dispatch.c
 *		Chooses the level: what the processor and its operating system allow, or
 *		what was asked for by name.
 *
 * Must not know what a kernel computes.  A feature bit of cpuid alone is not
 * enough: where the operating system does not save the wider registers, using
 * them is an illegal instruction, so xgetbv is asked too.  See README.md,
 * "Levels".
 */
#include <stdatomic.h>

#include "kernel/levels.h"

#ifdef QV_HAVE_X86_LEVELS
#include <cpuid.h>

/* Register state the operating system saves (XCR0): SSE and AVX; those and opmask and both halves of ZMM. */
#define XCR0_AVX		UINT64_C(0x06)
#define XCR0_AVX512		UINT64_C(0xE6)

/* cpuid leaf 1, ecx */
#define CPU_POPCNT		(1u << 23)
#define CPU_OSXSAVE		(1u << 27)
#define CPU_AVX			(1u << 28)
#define CPU_F16C		(1u << 29)
/* cpuid leaf 7 subleaf 0, ebx */
#define CPU_AVX2		(1u << 5)
#define CPU_AVX512F		(1u << 16)
#define CPU_AVX512DQ	(1u << 17)
#define CPU_AVX512BW	(1u << 30)
#define CPU_AVX512VL	(1u << 31)
/* cpuid leaf 7 subleaf 0, ecx */
#define CPU_AVX512VNNI	(1u << 11)
#define CPU_VPOPCNTDQ	(1u << 14)

typedef struct CpuFeatures
{
	uint32_t	leaf1_ecx;
	uint32_t	leaf7_ebx;
	uint32_t	leaf7_ecx;
	uint64_t	xcr0;
} CpuFeatures;

/* In assembly: the intrinsic would need -mxsave. */
static uint64_t
read_xcr0(void)
{
	uint32_t	low;
	uint32_t	high;

	__asm__ volatile ("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
	return (uint64_t) high << 32 | low;
}

static CpuFeatures
read_features(void)
{
	CpuFeatures cpu = {0};
	unsigned	eax,
				ebx,
				ecx,
				edx;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
		cpu.leaf1_ecx = ecx;
	if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
	{
		cpu.leaf7_ebx = ebx;
		cpu.leaf7_ecx = ecx;
	}
	if (cpu.leaf1_ecx & CPU_OSXSAVE)
		cpu.xcr0 = read_xcr0();
	return cpu;
}

static bool
has_all(uint32_t word, uint32_t bits)
{
	return (word & bits) == bits;
}

static bool
runs_avx2(void)
{
	CpuFeatures cpu = read_features();

	return (cpu.xcr0 & XCR0_AVX) == XCR0_AVX &&
		has_all(cpu.leaf1_ecx, CPU_POPCNT | CPU_AVX | CPU_F16C) &&
		has_all(cpu.leaf7_ebx, CPU_AVX2);
}

static bool
runs_avx512(void)
{
	CpuFeatures cpu = read_features();

	return runs_avx2() &&
		(cpu.xcr0 & XCR0_AVX512) == XCR0_AVX512 &&
		has_all(cpu.leaf7_ebx, CPU_AVX512F | CPU_AVX512DQ | CPU_AVX512BW | CPU_AVX512VL) &&
		has_all(cpu.leaf7_ecx, CPU_AVX512VNNI | CPU_VPOPCNTDQ);
}
#endif							/* QV_HAVE_X86_LEVELS */

static bool
runs_always(void)
{
	return true;
}

typedef struct Level
{
	const QvKernels *kernels;
	bool		(*runs) (void);
} Level;

/* Slowest first: the last that runs is the best. */
static const Level levels[] = {
	{&qv_kernels_scalar, runs_always},
#ifdef QV_HAVE_X86_LEVELS
	{&qv_kernels_avx2, runs_avx2},
	{&qv_kernels_avx512, runs_avx512},
#endif
#ifdef QV_HAVE_NEON_LEVEL
	{&qv_kernels_neon, runs_always},	/* part of the base architecture */
#endif
};

#define NLEVELS ((int) (sizeof(levels) / sizeof(levels[0])))

/*
 * NULL until the first use.  Atomic because unit tests and bulk build helpers may
 * be threads; two first uses at once store the same pointer.
 */
static _Atomic(const QvKernels *) current;

static const QvKernels *
best_level(void)
{
	for (int i = NLEVELS - 1; i > 0; i--)
	{
		if (levels[i].runs())
			return levels[i].kernels;
	}
	return levels[0].kernels;
}

const QvKernels *
qv_kernels(void)
{
	const QvKernels *kernels = atomic_load_explicit(&current, memory_order_relaxed);

	if (kernels == NULL)
	{
		kernels = best_level();
		atomic_store_explicit(&current, kernels, memory_order_relaxed);
	}
	return kernels;
}

bool
qv_kernels_force(const char *name)
{
	if (name == NULL)
		return false;
	if (strcmp(name, "auto") == 0)
	{
		atomic_store_explicit(&current, best_level(), memory_order_relaxed);
		return true;
	}
	for (int i = 0; i < NLEVELS; i++)
	{
		if (strcmp(name, levels[i].kernels->name) != 0)
			continue;
		if (!levels[i].runs())
			return false;
		atomic_store_explicit(&current, levels[i].kernels, memory_order_relaxed);
		return true;
	}
	return false;
}

const QvKernels *
qv_kernels_level(int i, bool *usable)
{
	if (i < 0 || i >= NLEVELS)
		return NULL;
	*usable = levels[i].runs();
	return levels[i].kernels;
}
