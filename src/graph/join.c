/*
 * join.c
 *		What other divisions offer the nodes of a shard, and how much each division does.
 *
 * Knows no distances: offers are ordered from near to far, and are taken from by turns.  BUILD.md, "Builds in shards".
 */
#include "graph/shard.h"
#include "kernel/assert.h"

/*
 * Two thirds of the trees are grown in the shards of the first division, whose links are pruned together: the better the
 * candidates, the fewer links a search needs.  The other divisions have an equal share each of what half of the
 * trees would be.  doc/decisions/0065.
 */
QhBuildParams
qh_division_params(const QhBuildParams *params, int division)
{
	QhBuildParams result = *params;
	int			ntrees = qh_build_ntrees(params);

	result.ntrees = division == 0 ? ntrees * 2 / 3 : (ntrees + 1) / 2 / QH_NBETWEEN;
	if (result.ntrees < 1)
		result.ntrees = 1;
	return result;
}

/* So few shards part few neighbours.  doc/decisions/0065. */
#define FEW_SHARDS			4

/* Links to other shards are not pruned against those within: more than needed make searches longer, fewer cost recall where shards are many. */
int
qh_away_max(int m, uint32_t nshards)
{
	int			result = nshards <= FEW_SHARDS ? m / 4 : m * 3 / 4;

	return result > 1 ? result : 1;
}

static int
add_node(QhNode *nodes, int n, int max, QhNode node)
{
	for (int i = 0; i < n; i++)
		if (nodes[i] == node)
			return n;
	QV_ASSERT(n < max);
	(void) max;
	nodes[n] = node;
	return n + 1;
}

void
qh_join_offers(const QhOffer *coarse, const QhOffer *offers, const QhShardRange *range, int away_max, QhJoined *joined)
{
	int			noffered = 0;

	for (int d = 0; d < QH_NBETWEEN; d++)
		noffered += offers[d].n;
	joined->nwithin = joined->naway = 0;
	for (int i = 0; i < coarse->n && joined->naway < (away_max + 1) / 2; i++)
		if (coarse->nodes[i] - range->base >= range->n)
			joined->naway = add_node(joined->away, joined->naway, away_max, coarse->nodes[i]);
	for (int i = 0, more = 1; more; i++)
	{
		more = 0;
		for (int d = 0; d < QH_NBETWEEN; d++)
		{
			QhNode		place;

			if (i >= offers[d].n)
				continue;
			more = 1;
			place = offers[d].nodes[i] - range->base;
			if (place < range->n)
				joined->nwithin = add_node(joined->within, joined->nwithin, noffered, place);
			else if (joined->naway < away_max)
				joined->naway = add_node(joined->away, joined->naway, away_max, offers[d].nodes[i]);
		}
	}
}

int
qh_final_links(const QhFinalInput *input, QhLink *out)
{
	int			n = 0;

	QV_ASSERT(input->nwithin + input->naway <= 2 * input->max_degree);
	for (int i = 0; i < input->nwithin || i < input->naway; i++)
	{
		if (i < input->nwithin)
			out[n++] = input->within[i];
		if (i < input->naway)
			out[n++] = input->away[i];
	}
	return qh_fit_links(input->hubs, input->max_degree, input->id, out, n);
}
