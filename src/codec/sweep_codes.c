/*
 * sweep_codes.c
 *		All slots of a run that are near enough, by scoring each.
 *
 * Must not know what any kind keeps in its slots.  src/store/README.md, "Sweeps".
 */
#include "codec/kinds.h"
#include "kernel/kernel.h"

/* Between runs of so many bytes as many of what comes next are prefetched.  Measured: src/store/README.md, "Sweeps". */
#define SWEEP_RUN_NBYTES	1536

uint32_t
qv_sweep_by_score(QvScore *score, const QvQuery *query, const QvSlotRun *run, float limit, uint32_t *near, float *dist)
{
	int			most = SWEEP_RUN_NBYTES / run->stride < QV_BATCH ? (int) (SWEEP_RUN_NBYTES / run->stride) : QV_BATCH;
	uint32_t	nnear;

	if (most < 1)
		most = 1;
	for (int i = 0; i < run->nslots; i += most)
	{
		int			n = run->nslots - i < most ? run->nslots - i : most;
		size_t		offset = run->stride * (size_t) i;

		qv_prefetch_ahead(run->ahead, offset, run->stride * (size_t) n);
		score(query, (QvSlots) {NULL, run->base + offset, run->stride}, n, dist + i);
	}

	nnear = qv_kernels()->below_f32(dist, (uint32_t) run->nslots, limit, near);
	for (uint32_t i = 0; i < nnear; i++)
		dist[i] = dist[near[i]];
	return nnear;
}
