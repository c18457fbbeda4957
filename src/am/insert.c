/*
 * insert.c
 *		Inserting one row.
 *
 * A row whose code the index has already joins that node's rows.  Another gets a node: a slot
 * with its code, then links and the parent's tree link in one record, then the
 * reverse links one by one.  See README.md, section "Insert", and src/store/README.md.
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "am/am.h"
#include "column/filter_columns.h"
#include "common/pg_prng.h"
#include "compat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "store/code_map.h"
#include "utils/memutils.h"

/*
 * Candidates whose code is compared with the new one.  The same vector estimates as
 * one of the very nearest to itself; beyond that a second node for the same code does no harm.
 */
#define SAME_CODE_TRIES 32

/*
 * Nodes that a search looks for at first: if one of them has the new row's code, the search ends.
 * Chosen by hand; doc/decisions/0024-unchanged-vectors.md.
 */
#define SAME_CODE_EF	16

/*
 * Nodes a search goes on to before a row whose vector is unchanged is given a node of its own: its
 * code is there, and a second node at the end of the index would keep vacuum from truncating it.
 * Chosen by hand; the same document.
 */
#define SAME_CODE_FAR	1024

/* Entry points a search starts from, as in source_graph.c. */
#define MAX_SEEDS		4

/*
 * Descendants looked at for a parent with room: a tree of m children a node has a leaf long
 * before.
 */
#define ATTACH_TRIES	4096

/* Where a row comes from. */
typedef enum QhRowOrigin
{
	QH_ROW_NEW,
	QH_ROW_LIKELY_KNOWN,		/* as QH_ROW_KNOWN, but it may be new to a partial index */
	QH_ROW_KNOWN				/* an UPDATE left the vector alone */
} QhRowOrigin;

/* Codes that a value may have in the index: each but the first is measured from an earlier centre. */
#define MAX_SAME_CODES	8

typedef struct QhInsert
{
	QhRelStore	rs;
	QhAlloc		alloc;
	QhIndex    *ix;
	const void *value;			/* that it was encoded from */
	const QhCode *code;
	QhCode		same[MAX_SAME_CODES];	/* codes of the value, *code first */
	int			nsame;
	ItemPointer tid;
	QhRowOrigin origin;
	QhCandidate *cands;			/* live nodes found, nearest first */
	int			ncands;
	QhNode		node;			/* its slot */
	QhLink		links[2 * QH_MAX_M];
	int			nlinks;
} QhInsert;

/* Give the row to a node, if it has a code of the row's value. */
static bool
join_node(QhInsert *ins, QhNode node)
{
	uint8		code[QH_PAGE_NBYTES];
	QhNewRow	row = {ins->tid, ins->code->record};

	if (!qh_read_code(&ins->rs, node, code))
		return false;
	for (int i = 0; i < ins->nsame; i++)
	{
		if (memcmp(code, ins->same[i].code, ins->ix->code_nbytes) == 0)
			return qh_row_append(&ins->rs, node, &ins->same[i], &row);
	}
	return false;
}

/* Give the row to a node that has its code, if this transaction knows all codes. */
static bool
join_known(QhInsert *ins)
{
	QhCodeMap  *map = qh_code_map(ins->ix);

	for (int i = 0; map != NULL && i < ins->nsame; i++)
	{
		uint32		pos = 0;
		QhNode		node;

		while ((node = qh_code_map_next(map, ins->same[i].code, &pos)) != QH_INVALID_NODE)
		{
			/* vacuum may have cut the index since */
			if (qh_relstore_in_range(&ins->rs, node) && join_node(ins, node))
				return true;
		}
	}
	return false;
}

/*
 * Put a candidate where it belongs among the max nearest.  False if it is the farthest and those
 * are complete.
 */
static bool
take_candidate(QhInsert *ins, QhCandidate cand, int max)
{
	int			at = ins->ncands;

	while (at > 0 && ins->cands[at - 1].dist > cand.dist)
		at--;
	if (at == max)
		return false;
	if (ins->ncands < max)
		ins->ncands++;
	memmove(&ins->cands[at + 1], &ins->cands[at], sizeof(QhCandidate) * (ins->ncands - 1 - at));
	ins->cands[at] = cand;
	return at < max - 1;
}

/*
 * Search on for the node of an unchanged row, among nodes that are no candidates.  Not where a map
 * of all codes says that there is none.
 */
static bool
search_on(QhInsert *ins, QhSearch *search)
{
	QhCandidate cand;
	int			n = 0;

	if (ins->origin != QH_ROW_KNOWN || qh_code_map(ins->ix) != NULL)
		return false;
	while (n++ < SAME_CODE_FAR && qh_search_next(search, SAME_CODE_FAR, &cand))
	{
		if (join_node(ins, cand.node))
			return true;
	}
	return false;
}

/*
 * The ef_construction nearest live nodes, searched from these seeds: a new node links to live ones
 * alone, so dying ones must not take the places of candidates.  Returns true if the row has joined
 * a node that has its code; then the search has ended.
 */
static bool
search_candidates(QhInsert *ins, const QhCandidate *seeds, int nseeds)
{
	QhSearchLimits limits = {.resumable = true};
	int			ef = Max(ins->ix->meta.ef_construction, ins->ix->meta.m);
	uint64		npassed = 0;
	int			ntries = 0;
	bool		joined = false;
	QhSearch   *search;
	QhCandidate cand;

	ins->cands = palloc(sizeof(QhCandidate) * ef);
	search = qh_search_create(&ins->alloc, &ins->rs.store);
	qh_search_start(search, &limits, seeds, nseeds);
	while (qh_search_next(search, (ins->ncands < SAME_CODE_EF ? Min(ef, SAME_CODE_EF) : ef) + npassed, &cand))
	{
		if (qh_read_row(&ins->rs, cand.node).flags == QH_ROW_NONE)
		{
			npassed++;
			continue;
		}
		joined = ntries++ < SAME_CODE_TRIES && join_node(ins, cand.node);
		if (joined || !take_candidate(ins, cand, ef))
			break;
	}
	joined = joined || search_on(ins, search);
	qh_search_destroy(search);
	return joined;
}

static bool
find_candidates(QhInsert *ins)
{
	QhCandidate *seeds;
	int			nseeds;
	bool		joined;

	elog(DEBUG2, "index \"%s\": searching the graph for the place of a row", RelationGetRelationName(ins->rs.index));
	seeds = palloc(sizeof(QhCandidate) * Max(ins->ix->nentries, 1));
	nseeds = qh_choose_seeds(&ins->rs, MAX_SEEDS, seeds);
	joined = search_candidates(ins, seeds, nseeds);
	if (!joined && ins->ncands == 0 && ins->ix->nentries > 0)
	{
		/*
		 * nothing live around the nearest entry points: ask all of them before calling the index
		 * empty
		 */
		nseeds = qh_choose_seeds(&ins->rs, ins->ix->nentries, seeds);
		joined = search_candidates(ins, seeds, nseeds);
	}
	pfree(seeds);
	return joined;
}

/*
 * Make the slot a live node, in one record with its parent's tree link; an entry point has no
 * parent.
 */
static bool
publish(QhInsert *ins, QhNode parent, const QhLink *old_links, const QhLink *new_links)
{
	QhRowData	none = {{0}, QH_ROW_NONE};
	QhRowChange row = {ins->node, none, qh_row_single(ins->tid)};
	QhSlotChange changes[2];
	int			n = 0;

	changes[n++] = (QhSlotChange) {ins->node, QH_SLOT_RESERVED, QH_SLOT_LIVE, NULL, ins->links};
	if (parent != QH_INVALID_NODE)
		changes[n++] = (QhSlotChange) {parent, QH_SLOT_LIVE, QH_SLOT_LIVE, old_links, new_links};
	return qh_apply(&ins->rs, changes, n, &row);
}

/*
 * Try to become a tree child of this node.  False if it is not live or has no room.  When the
 * record is refused, only the parent can have changed: no other process touches a slot that this
 * insert has reserved.
 */
static bool
attach_to(QhInsert *ins, QhNode parent)
{
	QhLink		old_links[2 * QH_MAX_M];
	QhLink		new_links[2 * QH_MAX_M];

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (qh_read_slot(&ins->rs, parent, old_links) != QH_SLOT_LIVE ||
			qh_revise_links(&ins->alloc, &ins->rs.store, parent, old_links, ins->node,
							qh_room(&ins->rs.store.hubs, ins->rs.store.max_degree, parent) / 2,
							new_links) != QH_REVISED)
			return false;
		if (publish(ins, parent, old_links, new_links))
			return true;
	}
}

/*
 * Attach to the nearest node with room; where none of the candidates has any, to one of the
 * tree descendants of the nearest: those are reachable too, and a tree has leaves.
 */
static bool
attach(QhInsert *ins)
{
	QhNode	   *queue;
	int			head = 0;
	int			tail = 0;

	for (int i = 0; i < ins->ncands; i++)
	{
		if (attach_to(ins, ins->cands[i].node))
			return true;
	}
	Assert(ins->ncands <= ATTACH_TRIES);
	queue = palloc(sizeof(QhNode) * ATTACH_TRIES);
	for (int i = 0; i < ins->ncands && tail < ATTACH_TRIES; i++)
		queue[tail++] = ins->cands[i].node;
	while (head < tail)
	{
		QhLink		links[2 * QH_MAX_M];
		QhNode		node = queue[head++];
		QhSlotState state = qh_read_slot(&ins->rs, node, links);

		CHECK_FOR_INTERRUPTS();
		if (head > ins->ncands && attach_to(ins, node))
			return true;
		if (state != QH_SLOT_LIVE)
			continue;
		for (int i = 0; i < ins->rs.store.max_degree && links[i] != QH_INVALID_NODE && tail < ATTACH_TRIES; i++)
		{
			if (links[i] & QH_TREE_LINK)
				queue[tail++] = qh_link_node(links[i]);
		}
	}
	return false;
}

/* Ask each neighbour to link back. */
static void
link_back(QhInsert *ins)
{
	for (int i = 0; i < ins->nlinks; i++)
	{
		QhNode		node = ins->links[i];
		QhLink		old_links[2 * QH_MAX_M];
		QhLink		new_links[2 * QH_MAX_M];
		QhSlotChange change = {node, QH_SLOT_LIVE, QH_SLOT_LIVE, old_links, new_links};

		do
		{
			CHECK_FOR_INTERRUPTS();
			if (qh_read_slot(&ins->rs, node, old_links) != QH_SLOT_LIVE ||
				qh_revise_links(&ins->alloc, &ins->rs.store, node, old_links, ins->node,
								0, new_links) != QH_REVISED)
				break;
		} while (!qh_apply(&ins->rs, &change, 1, NULL));
	}
}

/* Distances of candidates are estimates: those of values that are known take their places. */
static void
measure_candidates(QhInsert *ins)
{
	const uint8 *value;
	QhNode	   *nodes;
	float	   *dist;

	if (ins->rs.values == NULL)
		return;
	value = qh_pair_values_encode(ins->rs.values, ins->value);
	nodes = palloc(sizeof(QhNode) * Max(ins->ncands, 1));
	dist = palloc(sizeof(float) * Max(ins->ncands, 1));
	for (int i = 0; i < ins->ncands; i++)
	{
		nodes[i] = ins->cands[i].node;
		dist[i] = ins->cands[i].dist;
	}
	qh_measure_values(&ins->rs, value, nodes, ins->ncands, dist);
	for (int i = 0; i < ins->ncands; i++)
		ins->cands[i].dist = dist[i];
}

/* Make the node an entry point, unless there are limit of them already. */
static bool
add_entry(QhInsert *ins, uint32 limit)
{
	Relation	index = ins->rs.index;
	Buffer		buf = qh_page_read(index, MAIN_FORKNUM, QH_ENTRY_BLKNO, QH_PAGE_ENTRY, 0,
								   BUFFER_LOCK_EXCLUSIVE);
	GenericXLogState *xlog;
	QhEntry		entry;

	if (qh_entry_count(index, BufferGetPage(buf)) >= limit)
	{
		UnlockReleaseBuffer(buf);
		return false;
	}
	xlog = GenericXLogStart(index);
	entry = QhPageGetEntry(GenericXLogRegisterBuffer(xlog, buf, 0));
	entry->nchanges++;
	Assert(entry->nentries < QH_MAX_ENTRIES);
	entry->nodes[entry->nentries++] = ins->node;
	GenericXLogFinish(xlog);
	UnlockReleaseBuffer(buf);
	return true;
}

static void
insert_node(QhInsert *ins)
{
	QhNode		neighbours[QH_MAX_M];
	uint32		wanted;

	measure_candidates(ins);

	ins->nlinks = qh_pick_neighbours(&ins->alloc, &ins->rs.store, ins->cands, ins->ncands,
									 ins->ix->meta.m, neighbours);
	memset(ins->links, 0xFF, sizeof(ins->links));
	ins->node = qh_slot_reserve(&ins->rs, ins->code);
	if (ins->rs.values != NULL)
		qh_pair_values_add(ins->rs.values, ins->node, ins->code->code);
	ins->nlinks = qh_fit_links(&ins->rs.store.hubs, ins->rs.store.max_degree, ins->node, neighbours, ins->nlinks);
	for (int i = 0; i < ins->nlinks; i++)
		ins->links[i] = neighbours[i];

	if (!attach(ins))
	{
		/* the first node, or one that no list has room for: an entry point, before it is a node */
		if (!add_entry(ins, QH_MAX_ENTRIES))
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("index \"%s\" has no room to link a new node",
							RelationGetRelationName(ins->rs.index)),
					 errhint("REINDEX makes room.")));
		if (!publish(ins, QH_INVALID_NODE, NULL, NULL))
			qh_report_corrupt(ins->rs.index, qh_slot_address(&ins->ix->geo, QH_ARRAY_LINK, ins->node).blkno,
							  "a free slot is in use");
	}
	else
	{
		wanted = qh_entries_wanted(ins->ix->nslots, QH_MAX_ENTRIES);
		if ((uint32) ins->ix->nentries < wanted)
			(void) add_entry(ins, wanted);
	}
	link_back(ins);
	if (qh_code_map(ins->ix) != NULL)
		qh_code_map_add(qh_code_map(ins->ix), ins->node, ins->code->code);
}

/* Prepare what measures distances from the value. */
static void
prepare_query(QhInsert *ins, const void *value)
{
	const QvCodec *codec = ins->ix->codec;
	void	   *scratch = qh_alloc_aligned(CurrentMemoryContext, qv_codec_scratch_nbytes(codec), 64);

	ins->rs.query = qv_query_init_pair(qh_alloc_aligned(CurrentMemoryContext, qv_query_sizeof(codec), 64), codec, value, scratch);
}

/*
 * The codes that the value may have in the index.  One that is there from before some centre was
 * added is measured from an earlier one; such a code is looked for only where the row is likely to
 * have it.
 */
static void
find_same_codes(QhInsert *ins, const void *value)
{
	const QhIndex *ix = ins->ix;
	Size		nbytes = qv_codec_scratch_nbytes(ix->codec);
	void	   *scratch;

	ins->same[ins->nsame++] = *ins->code;
	if (ins->origin == QH_ROW_NEW || ix->meta.ncentres == ix->meta.ncentres_built)
		return;
	if (ix->refine_codec != NULL)
		nbytes = Max(nbytes, qv_codec_scratch_nbytes(ix->refine_codec));
	scratch = qh_alloc_aligned(CurrentMemoryContext, nbytes, 64);
	while (ins->nsame < MAX_SAME_CODES)
	{
		QhCode		older = {palloc(ix->code_nbytes), NULL};

		memcpy(older.code, ins->same[ins->nsame - 1].code, ix->code_nbytes);
		if (!qv_codec_encode_older(ix->codec, ix->meta.ncentres_built, value, older.code, scratch))
			break;
		if (ix->refine_codec != NULL)
		{
			older.refine = palloc(ix->refine_nbytes);
			qv_codec_encode_from(ix->refine_codec, qv_codec_centre(ix->codec, older.code), value, older.refine, scratch);
		}
		ins->same[ins->nsame++] = older;
	}
}

/*
 * Insert an encoded value: value is what code was encoded from.  True if it got a node of its own.
 */
static bool
insert_code(Relation index, QhIndex *ix, const void *value, const QhCode *code, ItemPointer tid, QhRowOrigin origin)
{
	QhInsert	ins = {0};
	bool		is_new = false;
	bool		was_found = false;

	ins.ix = ix;
	ins.alloc = qh_context_alloc(CurrentMemoryContext);
	ins.value = value;
	ins.code = code;
	ins.tid = tid;
	ins.origin = origin;
	qh_relstore_init(&ins.rs, index, ix);
	ins.rs.values = qh_pair_values(ix);
	find_same_codes(&ins, value);
	if (ins.origin != QH_ROW_NEW)
		qh_code_map_expect(&ins.rs);

	LockPage(index, QH_INSERT_LOCK_BLKNO, ShareLock);
	if (!join_known(&ins))
	{
		prepare_query(&ins, value);
		is_new = !find_candidates(&ins);
		if (is_new)
			insert_node(&ins);
		else
			was_found = true;
	}
	UnlockPage(index, QH_INSERT_LOCK_BLKNO, ShareLock);
	/* an UPDATE of filter columns alone, it seems, perhaps of many rows */
	if (was_found && code->record != NULL && origin == QH_ROW_NEW)
		qh_code_map_expect(&ins.rs);
	return is_new;
}

/*
 * One insert in a few moves the mean by which qhnsw_info tells whether rows still come near their
 * centres. Not every insert: all would wait for each other at the metapage.
 */
static void
note_drift(Relation index, QhIndex *ix, const QhCode *code)
{
	float		norm2;
	Buffer		buf;
	GenericXLogState *xlog;
	QhMeta		meta;

	if (ix->meta.code_kind != QV_CODE_RABITQ ||
		pg_prng_uint64_range(&pg_global_prng_state, 1, QH_DRIFT_SAMPLING) != 1)
		return;
	norm2 = qv_codec_norm2(ix->codec, code->code);
	buf = ReadBuffer(index, QH_META_BLKNO);
	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	qh_meta_check(index, BufferGetPage(buf));
	xlog = GenericXLogStart(index);
	meta = QhPageGetMeta(GenericXLogRegisterBuffer(xlog, buf, 0));
	meta->ninserts_sampled = Min(meta->ninserts_sampled, QH_DRIFT_MEMORY - 1) + 1;
	meta->inserted_norm2 += (norm2 - meta->inserted_norm2) / meta->ninserts_sampled;
	GenericXLogFinish(xlog);
	UnlockReleaseBuffer(buf);
}

/* The record of the row in memory of the current context; NULL where the index has none. */
static const uint8 *
form_record(Relation index, const QhIndex *ix, const Datum *values, const bool *isnull)
{
	QhFilterColumns *columns;
	uint8	   *record;

	if (likely(RelationGetNumberOfAttributes(index) == 1))
		return NULL;
	columns = palloc(sizeof(QhFilterColumns));
	qh_filter_columns(index, columns);
	qh_check_filter_columns(index, ix, columns);
	record = palloc(columns->layout.record_nbytes);
	qh_form_record(columns, values, isnull, record);
	return record;
}

/*
 * May an index be made empty for this value?  Not if it is refused or left out whatever the
 * dimension.
 */
static bool
may_decide(const QhColumn *column, const QhValue *value)
{
	return value->ndims <= column->max_ndims && value->finite && (column->metric != QV_METRIC_COSINE || value->norm2 > 0);
}

bool
qhnswinsert(Relation index, Datum *values, bool *isnull, ItemPointer heap_tid,
			Relation heap, IndexUniqueCheck check_unique, bool index_unchanged, IndexInfo *info)
{
	MemoryContext cxt;
	MemoryContext old;
	const QhColumn *column;
	QhIndex    *ix;
	QhValue		value;
	QhRowOrigin origin = QH_ROW_NEW;

	if (index_unchanged)
		origin = info->ii_Predicate == NIL ? QH_ROW_KNOWN : QH_ROW_LIKELY_KNOWN;
	if (isnull[0])
		return false;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "qhnsw insert", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	column = qh_column(index);
	ix = qh_index_acquire(index, cxt);
	qh_column_read(column, values[0], &value);
	if (ix->meta.ndims > 0 && value.ndims != ix->meta.ndims && may_decide(column, &value) && qh_unsettle_ndims(index, heap, ix))
		ix = qh_index_acquire(index, cxt);
	if (qh_column_indexable(column, &value, ix->meta.ndims))
	{
		QhCode		code;

		if (ix->meta.ndims == 0)
		{
			qh_settle_ndims(index, value.ndims);
			ix = qh_index_acquire(index, cxt);
			(void) qh_column_indexable(column, &value, ix->meta.ndims);
		}
		code = qh_encode(ix, value.data);
		code.record = form_record(index, ix, values, isnull);
		if (insert_code(index, ix, value.data, &code, heap_tid, origin))
			qh_learn(index, ix, &value, &code);
		note_drift(index, ix, &code);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return false;
}
