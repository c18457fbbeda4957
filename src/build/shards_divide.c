/*
 * shards_divide.c
 *		The step "divide": distinct codes of a shard, in the order of their ids, and offered to the
 *		other divisions.
 *
 * A shard that came out too large becomes several.  See README.md, section "In shards".
 */
#include "postgres.h"

#include "build/shards_state.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Distinct codes of these rows.  Posting slots go to their file as they fill. */
static void
dedup_shard(QhBuild *build, const QhRecords *records, uint32 shard, QhDedup *dedup)
{
	QhShards   *shards = build->shards;
	QhPartFile *rows = records->partfile;
	uint64		nrows = qh_records_count(records);
	uint8		record[QH_MAX_RECORD_NBYTES];
	QhSentRow	sent;
	QhNewRow	row = {&sent.tid, record};

	/* many rows may have few codes: at first no more room is made than a shard should need */
	qh_dedup_init(dedup, shards->task_cxt, build, (uint32) Min(nrows, qh_task_max_nodes(build)));
	dedup->postings.partfile = shards->files[QH_FILE_POSTINGS];
	dedup->postings.partfile_part = shard;
	qh_partfile_rewind(rows, records->part);
	while (qh_partfile_get(rows, &sent, sizeof(sent)))
	{
		QhRowCodes	codes = qh_dedup_codes(dedup);

		qh_partfile_get_rest(rows, codes.code, dedup->code_nbytes);
		if (dedup->refine_nbytes > 0)
			qh_partfile_get_rest(rows, codes.refine, dedup->refine_nbytes);
		if (dedup->pair_nbytes > 0)
			qh_partfile_get_rest(rows, codes.pair, dedup->pair_nbytes);
		if (dedup->record_nbytes > 0)
			qh_partfile_get_rest(rows, record, dedup->record_nbytes);
		(void) qh_dedup_row(dedup, &row);
	}
	qh_dedup_end(dedup);
}

/* ---- order ---- */

/* Send a node, by the code that it is linked by, to its shards of the other divisions, and to the sample if it is one of those. */
static void
offer_node(QhBuild *build, QhSentNode sent, const uint8 *code)
{
	QhShards   *shards = build->shards;
	QhSpace		space = qh_build_space(build, NULL, 0);

	for (int i = 0; i < QH_NBETWEEN; i++)
	{
		uint32		part = i * shards->plan->nshards + qh_splitter_shard(shards->splitters[1 + i], &space, code);

		qh_partfile_put(shards->files[QH_FILE_OFFERED], part, &sent, sizeof(sent));
		qh_partfile_put(shards->files[QH_FILE_OFFERED], part, code, qh_build_link_nbytes(build));
	}
	if (sent.place % shards->plan->coarse_step == shards->plan->coarse_step / 2)
	{
		qh_partfile_put(shards->files[QH_FILE_SAMPLE], sent.shard, &sent, sizeof(sent));
		qh_partfile_put(shards->files[QH_FILE_SAMPLE], sent.shard, code, qh_build_link_nbytes(build));
	}
}

/*
 * Entry points of a shard of n nodes, which are reserved: its share of those of the whole graph as
 * if all shards were as large, and at least one.  The sum leaves one for each shard that may still
 * be made.
 */
static uint32
take_entries(const QhShards *shards, uint32 n)
{
	uint32		room = QH_MAX_ENTRIES - shards->plan->max_shards;
	uint32		nshards = shards->plan->nshards;
	uint32		more = qh_entries_wanted((uint64) n * nshards, (int) room) / nshards;
	uint32		taken;

	if (n == 0)
		return 0;
	if (more > 0)
		more--;
	taken = pg_atomic_fetch_add_u32(&shards->shared->nentries_taken, more);
	return 1 + (taken < room ? Min(more, room - taken) : 0);
}

/* Write the record of a node's only row, or that it has several. */
static void
send_record(const QhShards *shards, const QhDedup *dedup, uint32 shard, uint32 node)
{
	static const uint8 none[QH_MAX_RECORD_NBYTES];
	const uint8 *record = qh_dedup_record(dedup, node);
	QhSentRecord sent = {record != NULL};

	qh_partfile_put(shards->files[QH_FILE_RECORDS], shard, &sent, sizeof(sent));
	qh_partfile_put(shards->files[QH_FILE_RECORDS], shard, record != NULL ? record : none, dedup->record_nbytes);
}

/* Put the nodes of a shard in order, and write them to the files that later steps read. */
static void
send_nodes(QhBuild *build, const QhDedup *dedup, uint32 shard)
{
	static const QhShardsFile own[] = {
		QH_FILE_CODES, QH_FILE_PAIRS, QH_FILE_REFINE, QH_FILE_SLOTS, QH_FILE_RECORDS, QH_FILE_POSTINGS, QH_FILE_SAMPLE
	};
	QhShards   *shards = build->shards;
	QhAlloc		alloc = qh_context_alloc(shards->task_cxt);
	QhBuildParams params = qh_task_params(build, 0);
	QhSpace		space = qh_build_space(build, qh_dedup_link_codes(dedup), dedup->nnodes);
	QhNode	   *order = qh_task_alloc(build, dedup->nnodes, sizeof(QhNode));

	shards->shards[shard].nentries = take_entries(shards, dedup->nnodes);
	qh_build_order(&alloc, &space, &params, (int) shards->shards[shard].nentries, order);
	for (uint32 i = 0; i < dedup->nnodes; i++)
	{
		QhRowCodes	codes = qh_dedup_node(dedup, order[i]);
		QhRowData	row = qh_dedup_slot(dedup, order[i]);

		CHECK_FOR_INTERRUPTS();
		qh_partfile_put(shards->files[QH_FILE_CODES], shard, codes.code, dedup->code_nbytes);
		qh_partfile_put(shards->files[QH_FILE_SLOTS], shard, &row, sizeof(row));
		if (dedup->record_nbytes > 0)
			send_record(shards, dedup, shard, order[i]);
		if (dedup->refine_nbytes > 0)
			qh_partfile_put(shards->files[QH_FILE_REFINE], shard, codes.refine, dedup->refine_nbytes);
		if (dedup->pair_nbytes > 0)
			qh_partfile_put(shards->files[QH_FILE_PAIRS], shard, codes.pair, dedup->pair_nbytes);
		offer_node(build, (QhSentNode) {shard, i}, dedup->pair_nbytes > 0 ? codes.pair : codes.code);
	}
	for (int i = 0; i < lengthof(own); i++)
		qh_partfile_end_part(shards->files[own[i]], shard);
}

/* ---- shards ---- */

/* Reserve the numbers of *n more shards, or of fewer: *n says how many.  Returns the first. */
static uint32
number_shards(QhShardsShared *shared, uint32 *n)
{
	uint32		first = pg_atomic_read_u32(&shared->nshards);
	uint32		wanted = *n;

	do
		*n = Min(wanted, shared->plan.max_shards - first);
	while (!pg_atomic_compare_exchange_u32(&shared->nshards, &first, first + *n));
	return first;
}

/*
 * How many shards these rows are to be: by their distinct codes, for many rows may be few nodes.
 */
static uint32
count_shards_wanted(QhBuild *build, const QhRecords *rows, int depth)
{
	if (qh_task_npieces(build, (double) qh_records_count(rows), depth) == 1)
		return 1;
	return qh_task_npieces(build, qh_records_distinct(build, rows), depth);
}

/* Make one shard of these rows. */
static void
make_shard(QhBuild *build, const QhRecords *rows, uint32 shard)
{
	QhShard    *made = &build->shards->shards[shard];
	QhDedup		dedup;

	qh_task_begin_piece(build, 0);
	dedup_shard(build, rows, shard, &dedup);
	send_nodes(build, &dedup, shard);
	made->nnodes = dedup.nnodes;
	made->npostings = dedup.postings.nfull;
	qh_task_end_piece(build, (uint32) dedup.nrows);
}

/*
 * Make a shard of these rows, or several if one would be too large: then the others take new
 * numbers.
 */
static void
divide_rows(QhBuild *build, const QhRecords *rows, uint32 shard, int depth)
{
	uint32		nmore = count_shards_wanted(build, rows, depth) - 1;
	uint32		first = 0;
	QhPieces	pieces;

	if (nmore > 0)
		first = number_shards(build->shards->shared, &nmore);
	if (nmore == 0)
	{
		make_shard(build, rows, shard);
		return;
	}
	qh_pieces_begin(&pieces, build, rows, 1 + nmore, depth);
	divide_rows(build, &pieces.records, shard, depth + 1);
	for (pieces.records.part = 1; pieces.records.part <= nmore; pieces.records.part++)
		divide_rows(build, &pieces.records, first + pieces.records.part - 1, depth + 1);
	qh_pieces_end(&pieces);
}

void
qh_shards_divide(QhBuild *build, uint32 shard)
{
	QhRecords	rows = {
		.partfile = build->shards->files[QH_FILE_ROWS],
		.part = shard,
		.nbytes = qh_sent_row_nbytes(build),
		.code_at = sizeof(QhSentRow),
		.link_at = sizeof(QhSentRow) + build->meta.code_nbytes + build->meta.refine_nbytes
	};

	if (build->pair_codec == NULL)
		rows.link_at = rows.code_at;
	divide_rows(build, &rows, shard, 0);
	qh_task_end(build);
}

/* ---- ids ---- */

void
qh_shards_number_slots(QhBuild *build)
{
	QhShards   *shards = build->shards;
	uint32		nshards = qh_shards_count(shards->shared);
	uint64		nslots = 0;

	if (shards->bases != NULL)
		return;
	shards->bases = MemoryContextAlloc(shards->cxt, sizeof(QhNode) * (nshards + 1));
	shards->posting_bases = MemoryContextAlloc(shards->cxt, sizeof(QhNode) * (nshards + 1));
	shards->pages = MemoryContextAlloc(shards->cxt, sizeof(QhPages));
	for (uint32 i = 0; i < nshards; i++)
	{
		shards->bases[i] = nslots;
		nslots += shards->shards[i].nnodes;
		if (nslots > QH_MAX_NODES / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("index \"%s\" cannot hold more than %u nodes",
							RelationGetRelationName(build->index), QH_MAX_NODES / 2)));
	}
	shards->bases[nshards] = nslots;
	for (uint32 i = 0; i < nshards; i++)
	{
		shards->posting_bases[i] = nslots;
		nslots += shards->shards[i].npostings;
		/*
		 * each shard kept to this limit (number_posting); together they must too, for an id has 31
		 * bits
		 */
		if (nslots - shards->bases[nshards] > QH_MAX_NODES / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("index \"%s\" cannot hold more than %u lists of row pointers",
							RelationGetRelationName(build->index), QH_MAX_NODES / 2)));
	}
	shards->posting_bases[nshards] = nslots;
	qh_pages_init(shards->pages, build, nslots);
}
