/*
 * probe.c
 *		Scans of the index with an effort: what they find, and what they cost.
 *
 * Runs the access method's own scans.  Must not know which efforts are of interest.
 */
#include "compat.h"

#include <math.h>

#include "access/stratnum.h"
#include "calibrate/measure.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "scan/scan.h"
#include "utils/float.h"

/*
 * What a row that is fetched costs, a finer code, and a code that is scored in order, in codes
 * scored at random places; doc/decisions/0140.
 */
#define COST_OF_ROW		40.0
#define COST_OF_FINER	0.5
#define COST_IN_ORDER	0.125

static void
set_key(QhMeasure *measure, const QhQuery *query, ScanKeyData *key)
{
	MemSet(key, 0, sizeof(*key));
	key->sk_flags = SK_ORDER_BY;
	key->sk_attno = 1;
	key->sk_strategy = QH_DISTANCE_STRATEGY;
	key->sk_subtype = measure->what->index->rd_opcintype[0];
	key->sk_collation = measure->collation;
	key->sk_func = measure->distance;
	key->sk_argument = query->value;
}

/* What a scan has found. */
typedef struct Found
{
	const QhQuery *query;
	double	   *dist;
	int			n;
} Found;

static void
add_distance(QhMeasure *measure, const ItemPointerData *version, Datum value, void *arg)
{
	Found	   *found = (Found *) arg;

	found->dist[found->n++] = qh_measure_distance(measure, value, found->query);
}

/* Take the row that the scan gave; false if it is none, or the query's own. */
static bool
take_row(QhMeasure *measure, Found *found)
{
	ItemPointer tid = &measure->scan->xs_heaptid;
	bool		counts;

	if (ItemPointerIsValid(&found->query->tid) && ItemPointerEquals(tid, (ItemPointer) &found->query->tid))
		return false;
	counts = qh_measure_fetch(measure, tid);
	if (counts)
		qh_measure_take(measure, add_distance, found);
	ExecClearTuple(measure->slot);
	return counts;
}

static double
cost_of_scan(const QhScanStats *stats)
{
	return stats->ncodes * (stats->nflat > 0 ? COST_IN_ORDER : 1.0) +
		stats->nrefined * COST_OF_FINER + stats->nfetched * COST_OF_ROW;
}

int
qh_probe_query(QhMeasure *measure, const QhQuery *query, const QhEffort *effort, double *dist)
{
	int			k = measure->what->k;
	int			nwanted = measure->drawn && !query->alone ? k + 1 : k;	/* the row itself is found, too */
	QhForced	forced = {.effort = *effort, .wanted = nwanted, .hides = query->alone, .hidden = query->node};
	ScanKeyData key;
	Found		found = {query, dist};
	int			n = 0;

	/* as many candidates as for k rows, and the row itself */
	if (nwanted > k)
		forced.effort.oversample = (effort->oversample * k + 1) / (k + 1);
	set_key(measure, query, &key);
	qh_forced = &forced;
	qhnswrescan(measure->scan, NULL, 0, &key, 1);
	for (int i = 0; i < nwanted && n < k; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!qhnswgettuple(measure->scan, ForwardScanDirection))
			break;
		n += take_row(measure, &found);
	}
	qh_forced = NULL;
	qh_measure_take_waiting(measure, add_distance, &found);
	measure->work += cost_of_scan(&qh_last_scan);
	return found.n;
}

bool
qh_probe(QhMeasure *measure, const QhEffort *effort, int n, double share, QhProbe *out)
{
	double	   *dist = palloc(sizeof(double) * measure->what->k);
	double		before = measure->work;
	double		sum = 0;
	double		squares = 0;
	int			ndone = 0;
	bool		in_time = true;

	for (int i = 0; i < n && in_time; i++)
	{
		const QhQuery *query = &measure->queries[i];
		int			nrows = qh_probe_query(measure, query, effort, dist);
		double		nfound = 0;

		/* a row as far as the last one wanted is as good */
		for (int j = 0; j < nrows; j++)
			nfound += float8_le(dist[j], query->nearest[0]);
		nfound = Min(nfound / Max(query->nnearest, 1), 1);
		sum += nfound;
		squares += nfound * nfound;
		ndone++;
		in_time = !qh_measure_is_over(measure, share);
	}
	out->recall = sum / Max(ndone, 1);
	out->error = sqrt(Max(squares / Max(ndone, 1) - out->recall * out->recall, 0) / Max(ndone, 1));
	out->cost = (measure->work - before) / Max(ndone, 1);
	pfree(dist);
	elog(DEBUG1, "%.0f ms: ef_search %d, doubt %.3f: recall %.4f of %d queries, cost %.0f%s",
		 qh_measure_elapsed(measure), effort->ef, effort->doubt, out->recall, ndone, out->cost,
		 in_time ? "" : ", not in time");
	return in_time;
}
