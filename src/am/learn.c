/*
 * learn.c
 *		Centres learned from the rows that are inserted.
 *
 * A backend keeps the rows that it inserted into an index lately.  From time to time it looks
 * whether they would lie nearer to centres of their own; if so, these are added to the index.
 * Must not know how centres are kept, nor what codes do with them.  See README.md, section
 * "Centres".
 */
#include "postgres.h"

#include <math.h>

#include "am/am.h"
#include "codec/training.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "store/added_centres.h"
#include "utils/memutils.h"

/*
 * Rows kept of an index: four megabytes of them, but no more than the first number and no less
 * than the second.  Multiples of MEAN_NROWS.
 */
#define MAX_KEPT		640
#define MIN_KEPT		128
#define KEPT_NBYTES		(4 * 1024 * 1024)

/* Indexes of which a backend keeps rows. */
#define MAX_KNOWN		8

/*
 * Rows from one look at the mean of the last ones to the next, and to one at clusters among all
 * that are kept: the second number is doubled, up to the third, as long as nothing is found.  All
 * looks together take one or two hundredths of the time of the inserts; doc/decisions/0151.
 */
#define MEAN_NROWS		64
#define CLUSTERS_NROWS	256
#define MAX_NROWS		8192

/* Rows that came for each centre that is added, at least; and the part of all slots that centres may take. */
#define ROWS_PER_CENTRE 64
#define SLOTS_PART		8

/*
 * A row that lies this much farther from its centre than from one of the last that came, in
 * squares, has a centre with it at once: until then each such row estimates as near as any to all
 * rows around, and is linked to by all.  Chosen by hand; doc/decisions/0151.
 */
#define FAR_TIMES		4
#define NLATELY			16

/* Centres of two rows that a backend may ask for, beside one for so many rows that it inserted. */
#define NPAIRS			4
#define ROWS_PER_PAIR	256

/* All centres there can be are given out when the index has grown by two to the power of this times ROWS_PER_CENTRE. */
#define GROWTH_LOG2		13

/* Rows that were inserted lately. */
typedef struct Recent
{
	Oid			relid;
	Oid			relfilenumber;
	MemoryContext cxt;			/* of the rows; NULL = nothing is kept here */
	uint64		used;			/* when, by a count of uses */
	uint32		ndims;
	uint32		ncentres;		/* that norm2 was measured from */
	uint32		max;
	uint32		room;			/* rows that memory was allocated for so far */
	uint32		n;
	uint32		next;			/* place of the next one */
	uint32		since;			/* rows since the last look at clusters */
	uint32		wanted;			/* rows from that to the next */
	uint64		ninserted;
	uint64		npairs;			/* centres from two rows that this backend has asked for */
	float	   *rows;			/* max x ndims; cosine: of unit length */
	float	   *norm2;			/* of each, to its centre */
} Recent;

static Recent known[MAX_KNOWN];
static uint64 nuses = 0;

/* ---- what is kept ---- */

static void
forget_rows(Recent *recent, const QhIndex *ix)
{
	recent->n = recent->next = recent->since = 0;
	recent->ncentres = ix->meta.ncentres;
}

/* Keep rows of this index here, in place of another's. */
static void
keep_rows_of(Recent *recent, const QhIndex *ix)
{
	uint32		ndims = ix->meta.ndims;
	uint32		max = Max(Min(KEPT_NBYTES / (ndims * sizeof(float)), MAX_KEPT), MIN_KEPT) / MEAN_NROWS * MEAN_NROWS;
	MemoryContext cxt;

	if (recent->cxt != NULL)
		MemoryContextDelete(recent->cxt);
	memset(recent, 0, sizeof(*recent));
	cxt = AllocSetContextCreate(TopMemoryContext, "qhnsw recent rows", ALLOCSET_SMALL_SIZES);
	recent->relid = ix->relid;
	recent->relfilenumber = ix->relfilenumber;
	recent->ndims = ndims;
	recent->max = max;
	recent->wanted = CLUSTERS_NROWS;
	recent->cxt = cxt;
	forget_rows(recent, ix);
}

static Recent *
recent_of(const QhIndex *ix)
{
	Recent	   *oldest = &known[0];

	nuses++;
	for (int i = 0; i < MAX_KNOWN; i++)
	{
		Recent	   *recent = &known[i];

		if (recent->cxt != NULL && recent->relid == ix->relid && recent->relfilenumber == ix->relfilenumber &&
			recent->ndims == ix->meta.ndims)
		{
			recent->used = nuses;
			return recent;
		}
		if (recent->used < oldest->used)
			oldest = recent;
	}
	keep_rows_of(oldest, ix);
	oldest->used = nuses;
	return oldest;
}

/* Memory for the next row.  It grows as rows come: a backend may insert few. */
static void
make_room(Recent *recent)
{
	uint32		room = Min(Max(2 * recent->room, MEAN_NROWS), recent->max);

	if (recent->next < recent->room)
		return;
	recent->rows = qh_alloc_more(recent->cxt, recent->rows, sizeof(float) * recent->ndims * (Size) room);
	recent->norm2 = qh_alloc_more(recent->cxt, recent->norm2, sizeof(float) * room);
	recent->room = room;
}

static void
keep_row(Recent *recent, const QhIndex *ix, const QhValue *value, const QhCode *code)
{
	const float *x = value->data;
	float	   *row;
	double		factor = ix->meta.metric == QV_METRIC_COSINE ? 1 / sqrt(value->norm2) : 1;

	make_room(recent);
	row = recent->rows + (Size) recent->next * recent->ndims;
	for (uint32 i = 0; i < recent->ndims; i++)
		row[i] = (float) (factor * x[i]);
	recent->norm2[recent->next] = qv_codec_norm2(ix->codec, code->code);
	recent->next = (recent->next + 1) % recent->max;
	recent->n = Min(recent->n + 1, recent->max);
	recent->since++;
	recent->ninserted++;
}

/* ---- looking and adding ---- */

/*
 * Centres that may be added now.  They are given out by and by, so that the first rows of a load
 * in some order do not take all.
 */
static uint32
centres_left(const Recent *recent, const QhIndex *ix)
{
	const QhMetaData *meta = &ix->meta;
	uint32		nadded = meta->ncentres - meta->ncentres_built;
	uint64		grown = Max(ix->nslots - Min(ix->nslots, meta->built_nnodes), recent->ninserted);
	double		share = Min(log2(1 + grown / (double) ROWS_PER_CENTRE) / GROWTH_LOG2, 1);
	double		most = Min(grown / ROWS_PER_CENTRE, ix->nslots / SLOTS_PART / qh_added_nslots(meta));

	most = NPAIRS + Min(most, ceil(share * (QV_MAX_CENTRES - meta->ncentres_built)));
	return most > nadded ? Min((uint32) most - nadded, QV_MAX_CENTRES - meta->ncentres) : 0;
}

static void
train_progress(void *arg)
{
	CHECK_FOR_INTERRUPTS();
}

/* Learn from n of the kept rows, from this one on.  Returns the number of centres that pay. */
static uint32
learn(const Recent *recent, uint32 from, uint32 n, uint32 max, float **centres)
{
	QvTraining	training = {
		.rows = recent->rows + (Size) from * recent->ndims, .nrows = n, .ndims = recent->ndims,
		.seed = recent->ninserted, .interrupt = train_progress
	};
	float	   *norm2 = palloc(sizeof(float) * n);

	memcpy(norm2, recent->norm2 + from, sizeof(float) * n);
	training.scratch = palloc(qv_train_scratch_nbytes(n, recent->ndims, QV_TRAIN_FEW_LARGEST));
	*centres = palloc(sizeof(float) * recent->ndims * Max(max, 1));
	return qv_train_few(&training, norm2, max, *centres);
}

/*
 * Does the last row lie far from its centre, and near another one?  Then the centre is the middle
 * of both, and 1 is returned.
 */
static uint32
look_at_last(Recent *recent, const QhIndex *ix, float **centres)
{
	uint32		last = (recent->next + recent->max - 1) % recent->max;
	const float *row = recent->rows + (Size) last * recent->ndims;
	const float *near = NULL;
	double		least = recent->norm2[last] / FAR_TIMES;

	if (recent->npairs >= NPAIRS + recent->ninserted / ROWS_PER_PAIR || centres_left(recent, ix) == 0)
		return 0;
	for (uint32 i = 1; i < Min(recent->n, NLATELY); i++)
	{
		const float *other = recent->rows + (Size) ((last + recent->max - i) % recent->max) * recent->ndims;
		double		dist = qv_kernels()->l2sq_f32(row, other, recent->ndims);

		if (dist < least)
		{
			least = dist;
			near = other;
		}
	}
	if (near == NULL)
		return 0;
	recent->npairs++;
	*centres = palloc(sizeof(float) * recent->ndims);
	for (uint32 i = 0; i < recent->ndims; i++)
		(*centres)[i] = 0.5f * row[i] + 0.5f * near[i];
	return 1;
}

/* Look at the rows that came, if it is time; returns the number of centres that pay. */
static uint32
look(Recent *recent, const QhIndex *ix, float **centres)
{
	bool		all = recent->since >= recent->wanted;
	uint32		max;
	uint32		n;

	if (recent->next % MEAN_NROWS != 0 || (max = Min(centres_left(recent, ix), QV_TRAIN_FEW_MAX)) == 0)
		return 0;
	if (!all)
		return learn(recent, (recent->next + recent->max - MEAN_NROWS) % recent->max, MEAN_NROWS, max, centres);
	recent->since = 0;
	n = learn(recent, 0, recent->n, max, centres);
	recent->wanted = n > 0 ? CLUSTERS_NROWS : Min(2 * recent->wanted, MAX_NROWS);
	return n;
}

/* The index has n more centres: kept rows may lie nearer to them. */
static void
note_centres(Recent *recent, const float *centres, uint32 n)
{
	recent->ncentres += n;
	for (uint32 i = 0; i < recent->n; i++)
	{
		for (uint32 j = 0; j < n; j++)
		{
			double		norm2 = qv_kernels()->l2sq_f32(recent->rows + (Size) i * recent->ndims, centres + (Size) j * recent->ndims, recent->ndims);

			recent->norm2[i] = Min(recent->norm2[i], norm2);
		}
	}
}

void
qh_learn(Relation index, QhIndex *ix, const QhValue *value, const QhCode *code)
{
	Recent	   *recent;
	QhRelStore	rs;
	float	   *centres;
	uint32		n;
	bool		published;

	if (ix->meta.code_kind != QV_CODE_RABITQ || ix->meta.ncentres >= QV_MAX_CENTRES)
		return;
	recent = recent_of(ix);
	/* what was measured from other centres is of no use */
	if (recent->ncentres != ix->meta.ncentres)
		forget_rows(recent, ix);
	keep_row(recent, ix, value, code);
	n = look_at_last(recent, ix, &centres);
	if (n == 0)
		n = look(recent, ix, &centres);
	if (n == 0)
		return;

	qh_relstore_init(&rs, index, ix);
	LockPage(index, QH_INSERT_LOCK_BLKNO, ShareLock);
	published = qh_added_publish(&rs, centres, n);
	UnlockPage(index, QH_INSERT_LOCK_BLKNO, ShareLock);
	if (published)
		note_centres(recent, centres, n);
	elog(DEBUG1, "index \"%s\": %u centres learned from inserted rows%s", RelationGetRelationName(index), n,
		 published ? "" : ", and dropped, for others were added");
	qh_index_forget(RelationGetRelid(index));
}
