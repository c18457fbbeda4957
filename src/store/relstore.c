/*
 * relstore.c
 *		A graph store over the pages of an index: what the graph room calls, put together.
 *
 * Links come from links.c, scores from codes.c; here are the store itself and the nodes a
 * search starts from.  Must not know the graph's algorithms.  See README.md, section "Reading".
 */
#include "postgres.h"

#include "access/xlog.h"
#include "compat.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "store/codes.h"
#include "store/links.h"
#include "store/readahead.h"
#include "store/relstore.h"

/* The first node whose code is on the page. */
static QhNode
relstore_place(QhStore *store, QhNode node)
{
	const QhRelStore *rs = (const QhRelStore *) store;

	return node - qh_slot_address(&rs->ix->geo, QH_ARRAY_CODE, node).index;
}

void
qh_relstore_init(QhRelStore *rs, Relation index, QhIndex *ix)
{
	memset(rs, 0, sizeof(*rs));
	rs->store.links = qh_store_links;
	rs->store.score = qh_store_score;
	rs->store.pair = qh_store_pair;
	rs->store.prefetch = qh_store_prefetch;
	rs->store.prefetch_max = QH_PREFETCH_MAX;
	rs->store.fetch = qh_store_fetch;
	rs->store.score_fetched = qh_store_score_fetched;
	rs->store.max_degree = 2 * ix->meta.m;
	rs->store.fills_up = ix->meta.metric == QV_METRIC_IP;
	rs->store.hubs = qh_meta_hubs(&ix->meta);
	rs->in_recovery = RecoveryInProgress();
	rs->index = index;
	rs->ix = ix;
	if (ix->nslots == 0)
		qh_index_refresh_size(ix, index);
	rs->store.nnodes = ix->nslots;
	/* by size, not by what is cached: a search must find the same whether its pages are cached or not */
	rs->store.at_once = ix->nblocks > (BlockNumber) NBuffers;
	rs->store.place = rs->store.at_once ? relstore_place : NULL;
}

/*
 * The max nearest entry points, in order.  All are scored, and only these sorted:
 * doc/decisions/0055-nearest-entry-points.md.
 */
static int
nearest_entries(QhRelStore *rs, int max, QhCandidate *nearest)
{
	QhIndex    *ix = rs->ix;
	float		dist[256];
	int			n = 0;

	for (int done = 0; done < ix->nentries; done += lengthof(dist))
	{
		int			batch = Min(ix->nentries - done, (int) lengthof(dist));

		qv_query_score_strided(rs->query, ix->entry_codes + (Size) done * ix->code_nbytes,
							   ix->code_nbytes, batch, dist);
		for (int i = 0; i < batch; i++)
		{
			int			at;

			if (n == max && dist[i] >= nearest[n - 1].dist)
				continue;
			at = n < max ? n++ : n - 1;
			for (; at > 0 && nearest[at - 1].dist > dist[i]; at--)
				nearest[at] = nearest[at - 1];
			nearest[at].dist = dist[i];
			nearest[at].node = ix->entries[done + i];
		}
	}
	rs->ncodes += ix->nentries;
	return n;
}

int
qh_choose_seeds(QhRelStore *rs, int max, QhCandidate *seeds)
{
	QhCandidate *nearest = palloc(sizeof(QhCandidate) * max);
	QhNode	   *nodes = palloc(sizeof(QhNode) * max);
	int			n = nearest_entries(rs, max, nearest);
	int			nseeds;

	for (int i = 0; i < n; i++)
		nodes[i] = nearest[i].node;
	qh_prefetch_links(rs, nodes, n);
	qh_read_ahead(rs, QH_ARRAY_LINK, nodes, n);
	nseeds = qh_nodes_in_use(rs, nearest, n, seeds);
	pfree(nodes);
	pfree(nearest);
	return nseeds;
}
