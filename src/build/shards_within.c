/*
 * shards_within.c
 *		The step "within": the graph of a shard, out of its own codes and of what other divisions
 *		found.
 *
 * See README.md, section "In shards", and src/graph/README.md, "Builds in shards".
 */
#include "postgres.h"

#include "build/shards_state.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* ---- what other divisions found ---- */

/* Links that were sent to a shard: where the record for each node and division is in data. */
typedef struct Offered
{
	uint8	   *data;
	Size	   *at;				/* QH_NDIVISIONS a node; 0 = no record: none begins at byte 0 */
} Offered;

/* Read all links that were sent to a shard of n nodes. */
static void
read_offered(QhBuild *build, uint32 shard, uint32 n, Offered *offered)
{
	QhPartFile *partfile = build->shards->files[QH_FILE_LINKS];
	Size		end = sizeof(uint64);
	uint64		room = qh_partfile_part_nbytes(partfile, shard) + end;
	QhSentLinks	sent;

	offered->data = qh_task_alloc(build, room, 1);
	offered->at = qh_task_alloc(build, n, sizeof(Size) * QH_NDIVISIONS);
	memset(offered->at, 0, sizeof(Size) * QH_NDIVISIONS * n);
	qh_partfile_rewind(partfile, shard);
	while (qh_partfile_get(partfile, &sent, sizeof(sent)))
	{
		Assert(sent.place < n && sent.division < QH_NDIVISIONS);
		Assert(end + sizeof(sent) + sizeof(QhNode) * sent.n <= room);
		offered->at[(Size) sent.place * QH_NDIVISIONS + sent.division] = end;
		memcpy(offered->data + end, &sent, sizeof(sent));
		end += sizeof(sent);
		if (sent.n > 0)
			qh_partfile_get_rest(partfile, offered->data + end, sizeof(QhNode) * sent.n);
		end += sizeof(QhNode) * sent.n;
	}
}

/* What a division offers a node; division 0 offers coarse links. */
static QhOffer
offer_of(const Offered *offered, uint32 node, int division)
{
	Size		at = offered->at[(Size) node * QH_NDIVISIONS + division];
	const QhSentLinks *sent = (const QhSentLinks *) (offered->data + at);

	if (at == 0)
		return (QhOffer) {NULL, 0};
	return (QhOffer) {(const QhNode *) (sent + 1), sent->n};
}

/* What other divisions found for a shard. */
typedef struct Joins
{
	uint64	   *begin;			/* of QhKnown */
	QhNode	   *within;
	uint8	   *taken;
	QhNode	   *away;			/* away_max a node */
	int			away_max;
} Joins;

/* Of each node, sort what is offered into candidates within the shard and links away from it. */
static void
join_shard(QhBuild *build, uint32 shard, uint32 n, Joins *joins)
{
	QhShardRange range = {build->shards->bases[shard], n};
	Size		max_within = QH_NBETWEEN * 2 * build->meta.m;
	uint64		room = n * (uint64) build->meta.m + max_within;
	Offered		offered;

	joins->away_max = qh_away_max(build->meta.m, build->shards->plan->nshards);
	joins->begin = qh_task_alloc(build, (uint64) n + 1, sizeof(uint64));
	joins->within = qh_task_alloc(build, room, sizeof(QhNode));
	joins->taken = qh_task_alloc(build, n, 1);
	joins->away = qh_task_alloc(build, n, sizeof(QhNode) * joins->away_max);
	read_offered(build, shard, n, &offered);
	joins->begin[0] = 0;
	for (uint32 node = 0; node < n; node++)
	{
		QhOffer		coarse = offer_of(&offered, node, 0);
		QhOffer		offers[QH_NBETWEEN];
		QhJoined	joined;

		CHECK_FOR_INTERRUPTS();
		if (joins->begin[node] + max_within > room)
		{
			room += room / 2 + max_within;
			joins->within = repalloc_huge(joins->within, qh_build_array_nbytes(room, sizeof(QhNode)));
		}
		for (int i = 0; i < QH_NBETWEEN; i++)
			offers[i] = offer_of(&offered, node, 1 + i);
		joined.within = joins->within + joins->begin[node];
		joined.away = joins->away + node * (Size) joins->away_max;
		qh_join_offers(&coarse, offers, &range, joins->away_max, &joined);
		Assert(joined.nwithin <= max_within && joined.naway <= joins->away_max);
		joins->begin[node + 1] = joins->begin[node] + joined.nwithin;
		joins->taken[node] = joined.naway;
	}
	pfree(offered.data);
	pfree(offered.at);
}

/* ---- the graph ---- */

/* Write the final list of each node: the links of this graph, and those that lead away. */
static void
write_graph(QhBuild *build, uint32 shard, const QhGraph *graph, const Joins *joins)
{
	QhShards   *shards = build->shards;
	QhPartFile *partfile = shards->files[QH_FILE_GRAPH];
	QhLink		within[2 * QH_MAX_M];
	QhLink		out[4 * QH_MAX_M];
	QhFinalInput input = {.hubs = &build->graph_params.hubs, .max_degree = graph->max_degree, .within = within};

	Assert(graph->max_degree <= lengthof(within) && joins->away_max <= graph->max_degree);
	for (uint32 node = 0; node < graph->n; node++)
	{
		const QhLink *links = graph->links + node * (Size) graph->max_degree;
		int			n;

		CHECK_FOR_INTERRUPTS();
		input.id = shards->bases[shard] + node;
		for (n = 0; n < graph->max_degree && links[n] != QH_INVALID_NODE; n++)
			within[n] = (shards->bases[shard] + qh_link_node(links[n])) | (links[n] & QH_TREE_LINK);
		input.nwithin = n;
		input.away = joins->away + node * (Size) joins->away_max;
		input.naway = joins->taken[node];
		for (n = qh_final_links(&input, out); n < graph->max_degree; n++)
			out[n] = QH_INVALID_NODE;
		qh_partfile_put(partfile, shard, out, sizeof(QhLink) * graph->max_degree);
	}
	qh_partfile_end_part(partfile, shard);
}

/* What the nodes of a shard are linked by, in the order of ids. */
static void
read_codes(QhBuild *build, uint32 shard, uint32 n, uint8 *codes)
{
	QhPartFile *partfile = build->shards->files[build->pair_codec != NULL ? QH_FILE_PAIRS : QH_FILE_CODES];
	Size		code_nbytes = qh_build_link_nbytes(build);

	qh_partfile_rewind(partfile, shard);
	for (uint32 i = 0; i < n; i++)
		qh_partfile_get_rest(partfile, codes + i * code_nbytes, code_nbytes);
}

/* Add the shard's entry points to those of the index. */
static void
add_entries(QhShards *shards, uint32 shard, const QhGraph *graph)
{
	for (int i = 0; i < graph->nentries; i++)
	{
		uint32		at = pg_atomic_fetch_add_u32(&shards->shared->nentries, 1);

		if (at < QH_MAX_ENTRIES)
			shards->shared->entries[at] = shards->bases[shard] + graph->entries[i];
	}
}

void
qh_shards_link_within(QhBuild *build, uint32 shard)
{
	QhShards   *shards = build->shards;
	QhAlloc		alloc = qh_context_alloc(shards->task_cxt);
	QhBuildParams params = qh_task_params(build, 0);
	uint32		n = shards->shards[shard].nnodes;
	uint8	   *codes = qh_task_alloc(build, n, qh_build_link_nbytes(build));
	QhSpace		space = qh_build_space(build, codes, n);

	qh_task_begin_piece(build, n);
	if (n > 0)
	{
		Joins		joins;
		QhKnown		known;
		QhGraph    *graph;

		read_codes(build, shard, n, codes);
		join_shard(build, shard, n, &joins);
		known = (QhKnown) {
			.base = shards->bases[shard],
			.begin = joins.begin,
			.nodes = joins.within,
			.taken = joins.taken,
			.nentries = (int) shards->shards[shard].nentries
		};
		graph = qh_build_within(&alloc, &space, &params, &known);
		write_graph(build, shard, graph, &joins);
		add_entries(shards, shard, graph);
	}
	qh_task_end_piece(build, n);
	qh_task_end(build);
}
