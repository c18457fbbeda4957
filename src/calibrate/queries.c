/*
 * queries.c
 *		Queries: rows of the table, drawn as such, or those that were given.
 *
 * Rows are drawn by the index: a node of each of many stretches of its slots, and that node's first row
 * that the snapshot sees.  So every distinct code has the same chance, the table need not be
 * read, and rows that the index leaves out are none.  Must not know what becomes of them.
 */
#include "compat.h"

#include "calibrate/measure.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "store/row_read.h"
#include "utils/datum.h"
#include "utils/memutils.h"

/* Slots looked at for each query wanted: many may be free, or hold lists of row pointers. */
#define SLOTS_PER_QUERY	4

/* Share of the time that may go by, for expressions may be dear. */
#define DRAW_SHARE		0.1

/* Rows drawn, whose values may still have to be computed. */
typedef struct Drawn
{
	QhQuery    *rows;
	int			n;
	int			ntaken;			/* of these, such as are queries or are none */
} Drawn;

/* A row drawn is a query. */
static void
add_query(QhMeasure *measure, const ItemPointerData *version, Datum value, void *arg)
{
	Drawn	   *drawn = (Drawn *) arg;
	QhQuery    *query = &measure->queries[measure->nqueries++];
	MemoryContext old;

	/* values come in the order in which rows were drawn */
	while (!ItemPointerEquals(&drawn->rows[drawn->ntaken].version, (ItemPointer) version))
		drawn->ntaken++;
	*query = drawn->rows[drawn->ntaken++];
	old = MemoryContextSwitchTo(measure->cxt);
	query->value = datumCopy(value, false, measure->typlen);
	MemoryContextSwitchTo(old);
}

/* Of a node's first rows draw one that the snapshot sees. */
static void
draw_from(QhMeasure *measure, QhRelStore *rs, QhNode node, QhRowList *list, Drawn *drawn)
{
	bool		found = false;

	if (!qh_read_rows(rs, node, list, NULL))
		return;
	for (int i = 0; i < list->ntids && !found; i++)
	{
		found = qh_measure_fetch(measure, &list->tids[i]);
		if (found)
		{
			drawn->rows[drawn->n++] = (QhQuery) {
				.tid = list->tids[i], .version = measure->slot->tts_tid,
				.alone = list->ntids == 1, .node = node
			};
			qh_measure_take(measure, add_query, drawn);
		}
		ExecClearTuple(measure->slot);
	}
	qh_drop_rows(list);
}

void
qh_measure_draw(QhMeasure *measure)
{
	int			nwanted = measure->what->nwanted;
	QhRelStore	rs;
	QhRowList	list = {.cxt = measure->cxt};
	Drawn		drawn = {0};
	uint64		nslots;
	uint32		nstretches;
	uint32		order[QH_CALIBRATE_NQUERIES * SLOTS_PER_QUERY];
	double		before = qh_measure_elapsed(measure);
	pg_prng_state prng;

	Assert(nwanted <= QH_CALIBRATE_NQUERIES);
	qh_relstore_init(&rs, measure->what->index, measure->ix);
	qh_index_refresh_size(measure->ix, measure->what->index);
	nslots = measure->ix->nslots;
	nstretches = (uint32) Min(nslots, lengthof(order));
	/* a fixed seed: two measurements of the same index have the same queries */
	pg_prng_seed(&prng, measure->ix->meta.seed + 2);
	for (uint32 i = 0; i < nstretches; i++)
	{
		uint32		j = (uint32) pg_prng_uint64_range(&prng, 0, i);

		order[i] = order[j];
		order[j] = i;
	}
	measure->drawn = true;
	measure->queries = MemoryContextAllocZero(measure->cxt, sizeof(QhQuery) * nwanted);
	drawn.rows = MemoryContextAllocZero(measure->cxt, sizeof(QhQuery) * nwanted);
	for (uint32 i = 0; i < nstretches && drawn.n < nwanted; i++)
	{
		CHECK_FOR_INTERRUPTS();
		draw_from(measure, &rs, (QhNode) pg_prng_uint64_range(&prng, nslots * order[i] / nstretches,
															  nslots * (order[i] + 1) / nstretches - 1), &list, &drawn);
		if (qh_measure_is_over(measure, DRAW_SHARE))
			break;
	}
	qh_measure_take_waiting(measure, add_query, &drawn);
	if (measure->nqueries > 0)
		measure->row_ms = (qh_measure_elapsed(measure) - before) / measure->nqueries;
}

void
qh_measure_take_given(QhMeasure *measure)
{
	const QhCalibration *what = measure->what;

	measure->nqueries = what->nqueries;
	measure->queries = MemoryContextAllocZero(measure->cxt, sizeof(QhQuery) * Max(what->nqueries, 1));
	for (int i = 0; i < what->nqueries; i++)
		measure->queries[i].value = what->queries[i];
}
