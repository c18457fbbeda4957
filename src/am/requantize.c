/*
 * requantize.c
 *		Codes and links of an index made anew, row by row, while others read and write it.
 *
 * Centres are learned from a sample of the rows; rows that lie much nearer to a centre than to the
 * one they were measured from get another code (src/store/RECODING.md), and then other links.
 * Each change leaves the index sound, so a crash or a cancel loses what was not done yet.  Must
 * not know why it is time.  See README.md, section "Requantization".
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/generic_xlog.h"
#include "access/tableam.h"
#include "am/requantize.h"
#include "build/build.h"
#include "catalog/index.h"
#include "codec/training.h"
#include "compat.h"
#include "executor/executor.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "store/added_centres.h"
#include "store/recode.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* Rows that centres are learned from, as for a build; and the least that are worth it. */
#define SAMPLE_NROWS		4096
#define SAMPLE_MIN_NROWS	256

/* A row is recoded if its squared distance from its centre falls to this share: a tenth less error.  Chosen by hand. */
#define RECODED_SHARE		0.8f

/* Inserted rows that were looked at, and how much farther they lie, before a requantization is advised; as inspect/drift.c. */
#define ADVISED_NINSERTS	32
#define ADVISED_TIMES		1.25

/* Where more than one row in so many is recoded, all nodes are linked anew.  doc/decisions/0201. */
#define RELINK_SHARE		8

/* Scans that began before centres were added get so long to end, in ms.  Chosen by hand. */
#define SCANS_WAIT			10000
#define SCANS_LOOK			50

/* Entry points a search for neighbours starts from, as an insert's. */
#define MAX_SEEDS			4

typedef struct Requantize
{
	Relation	heap;
	Relation	index;
	Snapshot	snapshot;
	MemoryContext cxt;
	MemoryContext row_cxt;		/* reset after each row */
	QhAlloc		alloc;			/* there */
	const QhColumn *column;
	QhIndex    *ix;
	QhRelStore	rs;
	uint32		nslots;			/* when we began: what came later has codes and links of today */
	IndexInfo  *info;
	EState	   *estate;
	TupleTableSlot *slot;
	IndexFetchTableData *fetch;
	uint8	   *recoded;		/* bit a slot */
	bool		relinks_all;	/* so many were recoded that the links of the others are to lead to them, too */
	uint64		nsteps;			/* for the progress view */
	QhRequantized *done;
} Requantize;

/* ---- rows ---- */

/* The value of the row that a node's only row pointer leads to; false if the snapshot does not see it, or it is not indexed. */
static bool
read_value(Requantize *rq, const QhRowData *row, QhValue *value)
{
	ItemPointerData tid;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	bool		call_again = false;
	bool		all_dead = false;
	bool		indexed = false;

	memcpy(&tid, row->w, sizeof(tid));
	if (row->flags != QH_ROW_SINGLE || !qh_tid_is_possible(&tid) ||
		!table_index_fetch_tuple(rq->fetch, &tid, rq->snapshot, rq->slot, &call_again, &all_dead))
		return false;
	GetPerTupleExprContext(rq->estate)->ecxt_scantuple = rq->slot;
	FormIndexDatum(rq->info, rq->slot, rq->estate, values, isnull);
	if (!isnull[0])
	{
		qh_column_read(rq->column, values[0], value);
		indexed = value->ndims == rq->ix->meta.ndims && qh_column_indexable(rq->column, value, rq->ix->meta.ndims);
	}
	if (indexed)
		rq->done->nrows++;
	return indexed;
}

/* The row slots of live nodes, a page after the other: each with one row is handed on. */
static void
visit_rows(Requantize *rq, uint32 step, bool (*visit) (Requantize *rq, QhNode node, const QhRowData *row, void *arg), void *arg)
{
	for (QhNode node = 0; node < rq->nslots; node += step)
	{
		QhRowData	row;
		MemoryContext old;
		bool		go_on;

		CHECK_FOR_INTERRUPTS();
		row = qh_read_row(&rq->rs, node);
		if (row.flags != QH_ROW_SINGLE)
			continue;
		old = MemoryContextSwitchTo(rq->row_cxt);
		go_on = visit(rq, node, &row, arg);
		MemoryContextSwitchTo(old);
		MemoryContextReset(rq->row_cxt);
		ResetPerTupleExprContext(rq->estate);
		if (!go_on)
			break;
	}
}

static void
report(Requantize *rq, QhSubphase subphase, uint64 ndone, uint64 total)
{
	if (ndone % 64 == 0)
		qh_build_report(subphase, ndone, total);
}

/* ---- centres ---- */

typedef struct Sample
{
	float	   *rows;			/* cosine: of unit length */
	float	   *norm2;			/* squared distance of each to its centre, as it would be coded today */
	uint32		n;
	uint32		max;
	double		spread2;		/* mean square of the distances as they are coded */
} Sample;

static bool
take_row(Requantize *rq, QhNode node, const QhRowData *row, void *arg)
{
	Sample	   *sample = (Sample *) arg;
	uint32		ndims = rq->ix->meta.ndims;
	uint8		coded[QH_PAGE_NBYTES];
	QhValue		value;
	QhCode		code;
	float	   *to = sample->rows + (Size) sample->n * ndims;
	double		factor;

	if (!read_value(rq, row, &value) || !qh_read_code(&rq->rs, node, coded))
		return true;
	code = qh_encode(rq->ix, value.data);
	factor = rq->ix->meta.metric == QV_METRIC_COSINE ? 1 / sqrt(value.norm2) : 1;
	for (uint32 i = 0; i < ndims; i++)
		to[i] = (float) (factor * ((const float *) value.data)[i]);
	sample->norm2[sample->n++] = qv_codec_norm2(rq->ix->codec, code.code);
	sample->spread2 += qv_codec_norm2(rq->ix->codec, coded);
	return sample->n < sample->max;
}

static void
train_progress(void *arg)
{
	CHECK_FOR_INTERRUPTS();
}

/* The index as it is now, with the centres it has. */
static void
acquire(Requantize *rq)
{
	qh_index_forget(RelationGetRelid(rq->index));
	rq->ix = qh_index_acquire(rq->index, rq->cxt);
	qh_relstore_init(&rq->rs, rq->index, rq->ix);
	rq->rs.values = qh_pair_values(rq->ix);
}

/* Add centres, unless another backend has added some since we looked: then those have to do. */
static void
add_centres(Requantize *rq, const float *centres, uint32 n)
{
	LockPage(rq->index, QH_INSERT_LOCK_BLKNO, ShareLock);
	if (qh_added_publish(&rq->rs, centres, n))
		rq->done->ncentres = n;
	UnlockPage(rq->index, QH_INSERT_LOCK_BLKNO, ShareLock);
}

/*
 * Scans that began earlier do not know the new centres, and would pass by rows that are measured
 * from them.  Wait until the transactions that have the index open now have ended, but not for
 * long: some sit idle for hours, and what a scan may lose is some recall.
 */
static void
wait_for_scans(Requantize *rq)
{
	LockRelId	id = rq->index->rd_lockInfo.lockRelId;
	LOCKTAG		tag;
	VirtualTransactionId *xacts;
	int			nxacts;
	int			waited = 0;

	SET_LOCKTAG_RELATION(tag, id.dbId, id.relId);
	xacts = GetLockConflicts(&tag, AccessExclusiveLock, &nxacts);
	for (int i = 0; i < nxacts; i++)
	{
		while (waited < SCANS_WAIT && !VirtualXactLock(xacts[i], false))
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, SCANS_LOOK, PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
			waited += SCANS_LOOK;
		}
	}
}

/* Learn centres from a sample of the rows, if they pay. */
static void
learn_centres(Requantize *rq)
{
	uint32		ndims = rq->ix->meta.ndims;
	uint32		max = Min(QV_MAX_CENTRES - rq->ix->meta.ncentres, QV_TRAIN_MANY_MAX);
	Size		row_nbytes = sizeof(float) * (ndims + 1);
	Sample		sample = {.max = Min(SAMPLE_NROWS, maintenance_work_mem * (Size) 1024 / 2 / row_nbytes)};
	QvTraining	training = {.ndims = ndims, .seed = rq->ix->meta.ncentres, .interrupt = train_progress};
	float	   *centres;
	uint32		n = 0;

	qh_build_report(QH_SUBPHASE_SAMPLE, 0, 0);
	sample.rows = MemoryContextAllocHuge(rq->cxt, sizeof(float) * ndims * (Size) Max(sample.max, 1));
	sample.norm2 = palloc(sizeof(float) * Max(sample.max, 1));
	if (sample.max > 0)
		visit_rows(rq, rq->nslots / sample.max + 1, take_row, &sample);
	if (sample.n > 0)
		rq->done->spread_before = rq->done->spread_after = sqrt(sample.spread2 / sample.n);
	if (sample.n >= SAMPLE_MIN_NROWS && max > 0)
	{
		qh_build_report(QH_SUBPHASE_TRAIN, 0, 0);
		training.rows = sample.rows;
		training.nrows = sample.n;
		training.scratch = MemoryContextAllocHuge(rq->cxt, qv_train_scratch_nbytes(sample.n, ndims, max));
		centres = palloc(sizeof(float) * ndims * (Size) max);
		n = qv_train_more(&training, sample.norm2, max, centres);
		pfree(training.scratch);
		if (n > 0)
		{
			add_centres(rq, centres, n);
			acquire(rq);
			wait_for_scans(rq);
		}
		pfree(centres);
	}
	pfree(sample.norm2);
	pfree(sample.rows);
}

/* ---- codes ---- */

/* Give the node the code that its value has today, if that is much nearer to its centre. */
static bool
recode_node(Requantize *rq, QhNode node, const QhRowData *row, void *arg)
{
	double	   *sum = (double *) arg;
	uint8		old_code[QH_PAGE_NBYTES];
	QhValue		value;
	QhCode		code;
	float		before;
	float		after;

	report(rq, QH_SUBPHASE_RECODE, rq->nsteps++, rq->nslots);
	if (!read_value(rq, row, &value) || !qh_read_code(&rq->rs, node, old_code))
		return true;
	code = qh_encode(rq->ix, value.data);
	before = qv_codec_norm2(rq->ix->codec, old_code);
	after = qv_codec_norm2(rq->ix->codec, code.code);
	if (after < RECODED_SHARE * before && qh_recode(&rq->rs, node, row, old_code, &code))
	{
		rq->recoded[node / 8] |= 1 << (node % 8);
		rq->done->nrecoded++;
		memcpy(old_code, code.code, rq->ix->code_nbytes);
	}
	*sum += qv_codec_norm2(rq->ix->codec, old_code);
	if (rq->rs.values != NULL)
	{
		(void) qh_pair_values_encode(rq->rs.values, value.data);
		qh_pair_values_add(rq->rs.values, node, old_code);
	}
	return true;
}

/* Note how far rows lie from their centres now: what later rows are compared with. */
static void
note_spread(Requantize *rq, double spread2)
{
	Buffer		buf = qh_page_read(rq->index, MAIN_FORKNUM, QH_META_BLKNO, QH_PAGE_META, 0, BUFFER_LOCK_EXCLUSIVE);
	GenericXLogState *xlog = GenericXLogStart(rq->index);
	QhMeta		meta = QhPageGetMeta(GenericXLogRegisterBuffer(xlog, buf, 0));

	meta->sample_spread = (float) Min(spread2, FLT_MAX);
	meta->ninserts_sampled = 0;
	meta->inserted_norm2 = 0;
	GenericXLogFinish(xlog);
	UnlockReleaseBuffer(buf);
}

static void
recode_all(Requantize *rq)
{
	uint64		nrows = rq->done->nrows;
	double		sum = 0;

	rq->nsteps = 0;
	visit_rows(rq, 1, recode_node, &sum);
	nrows = rq->done->nrows - nrows;
	if (nrows > 0)
	{
		rq->done->spread_after = sqrt(sum / nrows);
		note_spread(rq, sum / nrows);
	}
	rq->done->nrows = nrows;
}

/* ---- links ---- */

/* Candidates for the links of a node, with their distances. */
typedef struct Found
{
	QhCandidate *cands;
	QhNode	   *nodes;
	float	   *dist;
	int			n;
} Found;

static bool
is_found(const Found *found, QhNode node)
{
	for (int i = 0; i < found->n; i++)
	{
		if (found->cands[i].node == node)
			return true;
	}
	return false;
}

/* Add the live nodes nearest to the value that a search finds, but for the node itself. */
static void
search_near(Requantize *rq, QhNode node, int ef, Found *found)
{
	QhSearchLimits limits = {.resumable = true};
	QhCandidate seeds[MAX_SEEDS];
	int			nseeds = qh_choose_seeds(&rq->rs, MAX_SEEDS, seeds);
	QhSearch   *search = qh_search_create(&rq->alloc, &rq->rs.store);
	QhCandidate cand;
	uint64		npassed = 0;
	int			nlive = 0;

	qh_search_start(search, &limits, seeds, nseeds);
	while (nlive < ef && qh_search_next(search, ef + npassed, &cand))
	{
		if (cand.node == node || is_found(found, cand.node) || qh_read_row(&rq->rs, cand.node).flags == QH_ROW_NONE)
		{
			npassed++;
			continue;
		}
		found->cands[found->n++] = cand;
		nlive++;
	}
	qh_search_destroy(search);
}

/* What a node links to and what is near to its value. */
static void
find_neighbours(Requantize *rq, QhNode node, const QhValue *value, const QhLink *links, Found *found)
{
	int			max_degree = rq->rs.store.max_degree;
	int			ef = Max(rq->ix->meta.ef_construction, rq->ix->meta.m);
	void	   *scratch = qh_alloc_aligned(CurrentMemoryContext, qv_codec_scratch_nbytes(rq->ix->codec), 64);
	void	   *query = qh_alloc_aligned(CurrentMemoryContext, qv_query_sizeof(rq->ix->codec), 64);

	rq->rs.query = qv_query_init_pair(query, rq->ix->codec, value->data, scratch);
	found->cands = palloc(sizeof(QhCandidate) * (max_degree + ef));
	found->nodes = palloc(sizeof(QhNode) * (max_degree + ef));
	found->dist = palloc(sizeof(float) * (max_degree + ef));
	found->n = 0;
	for (int i = 0; i < max_degree && links[i] != QH_INVALID_NODE; i++)
		found->nodes[found->n++] = qh_link_node(links[i]);
	qh_score_codes(&rq->rs, found->nodes, found->n, found->dist);
	for (int i = 0; i < found->n; i++)
		found->cands[i] = (QhCandidate) {found->dist[i], found->nodes[i]};
	search_near(rq, node, ef, found);
	if (rq->rs.values == NULL)
		return;
	for (int i = 0; i < found->n; i++)
	{
		found->nodes[i] = found->cands[i].node;
		found->dist[i] = found->cands[i].dist;
	}
	qh_measure_values(&rq->rs, qh_pair_values_encode(rq->rs.values, value->data), found->nodes, found->n, found->dist);
	for (int i = 0; i < found->n; i++)
		found->cands[i].dist = found->dist[i];
}

/* Ask those that the node links to, and did not before, to link back. */
static void
link_back(Requantize *rq, QhNode node, const QhLink *before, const QhLink *after)
{
	int			max_degree = rq->rs.store.max_degree;

	for (int i = 0; i < max_degree && after[i] != QH_INVALID_NODE; i++)
	{
		QhNode		to = qh_link_node(after[i]);
		QhLink		old_links[2 * QH_MAX_M];
		QhLink		new_links[2 * QH_MAX_M];
		QhSlotChange change = {to, QH_SLOT_LIVE, QH_SLOT_LIVE, old_links, new_links};
		bool		known = false;

		for (int j = 0; j < max_degree && before[j] != QH_INVALID_NODE && !known; j++)
			known = qh_link_node(before[j]) == to;
		do
		{
			CHECK_FOR_INTERRUPTS();
			if (known || qh_read_slot(&rq->rs, to, old_links) != QH_SLOT_LIVE ||
				qh_revise_links(&rq->alloc, &rq->rs.store, to, old_links, node, 0, new_links) != QH_REVISED)
				break;
		} while (!qh_apply(&rq->rs, &change, 1, NULL));
	}
}

static bool
relink_node(Requantize *rq, QhNode node, const QhRowData *row, void *arg)
{
	QhLink		old_links[2 * QH_MAX_M];
	QhLink		new_links[2 * QH_MAX_M];
	QhSlotChange change = {node, QH_SLOT_LIVE, QH_SLOT_LIVE, old_links, new_links};
	QhValue		value;
	Found		found;

	if (!rq->relinks_all && (rq->recoded[node / 8] & (1 << (node % 8))) == 0)
		return true;
	report(rq, QH_SUBPHASE_RELINK, rq->nsteps++, rq->relinks_all ? rq->nslots : rq->done->nrecoded);
	if (!read_value(rq, row, &value))
		return true;
	LockPage(rq->index, QH_INSERT_LOCK_BLKNO, ShareLock);
	do
	{
		CHECK_FOR_INTERRUPTS();
		if (qh_read_slot(&rq->rs, node, old_links) != QH_SLOT_LIVE)
			break;
		find_neighbours(rq, node, &value, old_links, &found);
		if (qh_renew_links(&rq->alloc, &rq->rs.store, node, old_links, found.cands, found.n, new_links) != QH_REVISED)
			break;
		if (!qh_apply(&rq->rs, &change, 1, NULL))
			continue;
		link_back(rq, node, old_links, new_links);
		break;
	} while (true);
	UnlockPage(rq->index, QH_INSERT_LOCK_BLKNO, ShareLock);
	return true;
}

/* ---- is it time? ---- */

/*
 * A notice, for VACUUM does not tell an index whether it is VERBOSE; autovacuum says nothing.
 */
void
qh_advise_requantize(const IndexVacuumInfo *info)
{
	QhMetaData	meta;
	double		times;

	qh_meta_read(info->index, &meta);
	if (meta.ndims == 0 || meta.code_kind != QV_CODE_RABITQ || meta.ninserts_sampled < ADVISED_NINSERTS || !(meta.sample_spread > 0))
		return;
	times = sqrt(Max(meta.inserted_norm2, 0) / meta.sample_spread);
	if (times > ADVISED_TIMES)
		ereport(NOTICE,
				(errmsg("index \"%s\": inserted rows lie %.2f times as far from their centres as those it was made from",
						RelationGetRelationName(info->index), times),
				 errhint("qhnsw_requantize() learns centres from the rows as they are.")));
}

/* ---- all of it ---- */

static void
begin(Requantize *rq, Relation heap, Relation index, Snapshot snapshot)
{
	memset(rq, 0, sizeof(*rq));
	rq->heap = heap;
	rq->index = index;
	rq->snapshot = snapshot;
	rq->cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw requantization", ALLOCSET_DEFAULT_SIZES);
	rq->row_cxt = AllocSetContextCreate(rq->cxt, "qhnsw requantization row", ALLOCSET_DEFAULT_SIZES);
	rq->alloc = qh_context_alloc(rq->row_cxt);
	rq->column = qh_column(index);
	rq->info = BuildIndexInfo(index);
	rq->estate = CreateExecutorState();
	rq->slot = table_slot_create(heap, NULL);
	rq->fetch = qh_table_index_fetch_begin(heap);
}

static void
end(Requantize *rq)
{
	table_index_fetch_end(rq->fetch);
	ExecDropSingleTupleTableSlot(rq->slot);
	FreeExecutorState(rq->estate);
	MemoryContextDelete(rq->cxt);
}

void
qh_requantize(Relation heap, Relation index, Snapshot snapshot, QhRequantized *done)
{
	Requantize	rq;
	uint64		nread;

	memset(done, 0, sizeof(*done));
	begin(&rq, heap, index, snapshot);
	rq.done = done;
	qh_index_forget(RelationGetRelid(index));
	rq.ix = qh_index_acquire(index, rq.cxt);
	if (rq.ix->meta.ndims > 0 && rq.ix->meta.code_kind == QV_CODE_RABITQ)
	{
		MemoryContext old = MemoryContextSwitchTo(rq.cxt);

		acquire(&rq);
		qh_index_refresh_size(rq.ix, index);
		rq.nslots = rq.ix->nslots;
		rq.recoded = MemoryContextAllocZero(rq.cxt, rq.nslots / 8 + 1);
		learn_centres(&rq);
		recode_all(&rq);
		nread = done->nrows;
		rq.relinks_all = done->nrecoded > nread / RELINK_SHARE;
		rq.nsteps = 0;
		visit_rows(&rq, 1, relink_node, NULL);
		done->nrows = nread;
		MemoryContextSwitchTo(old);
	}
	end(&rq);
}
