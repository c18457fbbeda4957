/*
 * shards_between.c
 *		The step "between": links across the borders of the first division, sent to the shards of
 *		their nodes.
 *
 * Shards of the other divisions find them; the sample of all nodes gives coarse links.  See
 * README.md, section "In shards".
 */
#include "postgres.h"

#include "build/shards_state.h"
#include "miscadmin.h"

/* Nodes with the codes that they are linked by, out of parts of a partfile. */
typedef struct Nodes
{
	QhSentNode *sent;
	uint8	   *codes;
	uint32		n;
	uint64		max;
} Nodes;

/* Add the nodes of a part. */
static void
read_nodes(QhBuild *build, QhPartFile *partfile, uint32 part, Nodes *nodes)
{
	Size		code_nbytes = qh_build_link_nbytes(build);

	qh_partfile_rewind(partfile, part);
	while (qh_partfile_get(partfile, &nodes->sent[nodes->n], sizeof(QhSentNode)))
	{
		Assert(nodes->n < nodes->max);
		qh_partfile_get_rest(partfile, nodes->codes + nodes->n * code_nbytes, code_nbytes);
		nodes->n++;
	}
}

/* Room for the nodes in so many bytes of records. */
static void
make_nodes(QhBuild *build, uint64 nbytes, Nodes *nodes)
{
	nodes->n = 0;
	nodes->max = nbytes / (sizeof(QhSentNode) + qh_build_link_nbytes(build));
	/* one more: where the end of the partfile is met */
	nodes->sent = qh_task_alloc(build, nodes->max + 1, sizeof(QhSentNode));
	nodes->codes = qh_task_alloc(build, nodes->max + 1, qh_build_link_nbytes(build));
}

/* Send the links of a graph between these nodes to the shards that they belong to. */
static void
send_links(QhBuild *build, const QhGraph *graph, const Nodes *nodes, uint16 division)
{
	QhShards   *shards = build->shards;
	QhNode		ids[2 * QH_MAX_M];

	Assert(graph->max_degree <= lengthof(ids) && graph->n <= nodes->n);
	for (uint32 i = 0; i < graph->n; i++)
	{
		const QhLink *links = graph->links + i * (Size) graph->max_degree;
		QhSentLinks	sent = {nodes->sent[i].place, division, 0};

		CHECK_FOR_INTERRUPTS();
		for (; sent.n < graph->max_degree && links[sent.n] != QH_INVALID_NODE; sent.n++)
		{
			const QhSentNode *target = &nodes->sent[qh_link_node(links[sent.n])];

			ids[sent.n] = shards->bases[target->shard] + target->place;
		}
		qh_partfile_put(shards->files[QH_FILE_LINKS], nodes->sent[i].shard, &sent, sizeof(sent));
		qh_partfile_put(shards->files[QH_FILE_LINKS], nodes->sent[i].shard, ids, sizeof(QhNode) * sent.n);
	}
}

/* ---- coarse links ---- */

void
qh_shards_link_sample(QhBuild *build)
{
	QhShards   *shards = build->shards;
	QhAlloc		alloc = qh_context_alloc(shards->task_cxt);
	QhBuildParams params = qh_task_params(build, 0);
	uint32		nshards = qh_shards_count(shards->shared);
	uint64		nbytes = 0;
	Nodes		nodes;
	QhSpace		space;

	qh_task_begin_piece(build, 0);
	for (uint32 shard = 0; shard < nshards; shard++)
		nbytes += qh_partfile_part_nbytes(shards->files[QH_FILE_SAMPLE], shard);
	make_nodes(build, nbytes, &nodes);
	for (uint32 shard = 0; shard < nshards; shard++)
		read_nodes(build, shards->files[QH_FILE_SAMPLE], shard, &nodes);
	space = qh_build_space(build, nodes.codes, nodes.n);
	send_links(build, qh_build_coarse(&alloc, &space, &params), &nodes, 0);
	qh_task_end_piece(build, 0);
	qh_task_end(build);
}

/* ---- shards of other divisions ---- */

/* Link the nodes of a shard of another division, or of a piece of one. */
static void
link_nodes(QhBuild *build, const QhRecords *records, int division, int depth)
{
	QhAlloc		alloc = qh_context_alloc(build->shards->task_cxt);
	QhBuildParams params = qh_task_params(build, division);
	uint64		count = qh_records_count(records);
	uint32		npieces = qh_task_npieces(build, (double) count, depth);
	Nodes		nodes;
	QhSpace		space;
	uint32	   *home;

	if (npieces > 1)
	{
		QhPieces	pieces;

		qh_pieces_begin(&pieces, build, records, npieces, depth);
		for (; pieces.records.part < npieces; pieces.records.part++)
			link_nodes(build, &pieces.records, division, depth + 1);
		qh_pieces_end(&pieces);
		return;
	}
	make_nodes(build, count * records->nbytes, &nodes);
	read_nodes(build, records->partfile, records->part, &nodes);
	qh_task_begin_piece(build, nodes.n);
	home = qh_task_alloc(build, nodes.n, sizeof(uint32));
	for (uint32 i = 0; i < nodes.n; i++)
		home[i] = nodes.sent[i].shard;
	space = qh_build_space(build, nodes.codes, nodes.n);
	send_links(build, qh_build_between(&alloc, &space, &params, home), &nodes, division);
	qh_task_end_piece(build, nodes.n);
}

void
qh_shards_link_between(QhBuild *build, int division, uint32 shard)
{
	QhShards   *shards = build->shards;
	QhRecords	nodes = {
		.partfile = shards->files[QH_FILE_OFFERED],
		.part = (division - 1) * shards->plan->nshards + shard,
		.nbytes = sizeof(QhSentNode) + qh_build_link_nbytes(build),
		.code_at = sizeof(QhSentNode),
		.link_at = sizeof(QhSentNode)
	};

	link_nodes(build, &nodes, division, 0);
	qh_task_end(build);
}
