/*
 * suggest_options.c
 *		Which options come into question for a column, what an index with them takes, and what it finds.
 *
 * Every one is built on rows of the table and measured; nothing is looked up.  What is found there
 * is carried over to the whole table.  See README.md, section "Suggestions".
 */
#include "compat.h"

#include <math.h>

#include "column/options.h"
#include "inspect/inspect.h"
#include "inspect/suggest.h"
#include "miscadmin.h"
#include "store/index_cache.h"
#include "utils/memutils.h"

/*
 * What comes into question: bits a dimension of the code and of the finer one, and links.  In the
 * order in which they are tried; the smallest is among the first.
 */
typedef struct Candidate
{
	const char *options;
	int			code_nbits;
	int			refine_nbits;
} Candidate;

static const Candidate of_floats[] = {
	{"compression = '32x', hub_fraction = 0.02, m_low = 4", 1, 0},
	{"compression = '32x', hub_fraction = 0.02, m_low = 8", 1, 0},
	{"compression = '32x', hub_fraction = 0.02", 1, 0},
	{"compression = '32x'", 1, 0},
	{"compression = '16x', hub_fraction = 0.02", 2, 0},
	{"compression = '16x'", 2, 0},
	{"compression = '16x', m = 32, ef_construction = 128", 2, 0},
	{"compression = '8x'", 4, 0},
	{"compression = '32x', refine = 'int4'", 1, 4},
	{"compression = '32x', refine = 'int8'", 1, 8},
	{"compression = '4x'", 8, 0},
	{"compression = '2x'", 16, 0},
	{"compression = '1x'", 32, 0}
};

static const Candidate of_bytes[] = {
	{"hub_fraction = 0.02, m_low = 4", 1, 0},
	{"hub_fraction = 0.02", 1, 0},
	{"m = 16", 1, 0},
	{"m = 32, ef_construction = 128", 1, 0},
	{"refine = 'int4'", 1, 4},
	{"refine = 'int8'", 1, 8}
};

static const Candidate of_bits[] = {
	{"hub_fraction = 0.02, m_low = 4", 1, 0},
	{"hub_fraction = 0.02", 1, 0},
	{"m = 16", 1, 0},
	{"m = 32, ef_construction = 128", 1, 0}
};

/* Estimates that differ by less are as good. */
#define SAME_RECALL		0.005

/* Half a row of all that were asked for: nobody can say that less is missed. */
#define LEAST_MISSED	(0.5 / (QH_SUGGEST_NQUERIES * 10))

/* In four times as many rows no more than twice as much is taken to be missed.  Chosen by hand; doc/decisions/0261. */
#define MOST_GROWTH		2

/* A part whose rows have as good as all codes of their own. */
#define NEARLY_DISTINCT	0.98

typedef struct Trial
{
	const QhSuggestColumn *what;
	QhSuggestSample *sample;
	double		target;			/* 0 = none is asked for */
	double		max_nbytes;		/* 0 = any */
	QhSuggestTruth truth[QH_SUGGEST_NPARTS];
	QhSuggestion *found;
	int			nfound;
	double		smallest;
} Trial;

static const Candidate *
candidates_of(const QhColumn *column, int *n)
{
	if (column->compressible)
	{
		*n = lengthof(of_floats);
		return of_floats;
	}
	if (column->kind == QV_CODE_BITS)
	{
		*n = lengthof(of_bits);
		return of_bits;
	}
	*n = lengthof(of_bytes);
	return of_bytes;
}

static double
wanted_recall(const Trial *trial)
{
	return trial->target > 0 ? trial->target : QH_DEFAULT_TARGET_RECALL;
}

/* Dimension of the column, by its type or the first query. */
static uint32
column_ndims(const Trial *trial)
{
	QhValue		value;

	qh_column_read(trial->what->column, trial->sample->queries[0], &value);
	return value.ndims;
}

/* Would an index have room for such codes? */
static bool
is_possible(const Trial *trial, const Candidate *candidate)
{
	QhMetaData	meta = {
		.metric = trial->what->column->metric, .ndims = column_ndims(trial),
		.code_kind = candidate->code_nbits == 32 ? QV_CODE_FLOAT : trial->what->column->kind,
		.code_nbits = candidate->code_nbits, .refine_nbits = candidate->refine_nbits
	};
	QvCodecParams params;

	qh_meta_params(&meta, &params);
	if (qv_codec_params_fault(&params) != NULL)
		return false;
	if (candidate->refine_nbits == 0)
		return true;
	qh_meta_refine_params(&meta, &params);
	return qv_codec_params_fault(&params) == NULL;
}

/* Is there one like it already, as there is where codes are floats whatever was asked for? */
static bool
is_known(const Trial *trial, const QhMetaData *meta)
{
	for (int i = 0; i < trial->nfound; i++)
	{
		const QhMetaData *other = &trial->found[i].meta;

		if (other->code_kind == meta->code_kind && other->code_nbits == meta->code_nbits &&
			other->refine_nbits == meta->refine_nbits && other->m == meta->m && other->m_low == meta->m_low)
			return true;
	}
	return false;
}

/* ---- from the sample to the table ---- */

/* Share of distinct codes among so many rows, as it falls from one part to the next: by ratios. */
static double
distinct_share(const QhMetaData *small, const QhMetaData *large, double nrows)
{
	double		share = (double) large->built_nnodes / large->built_nrows;
	double		small_share = (double) small->built_nnodes / small->built_nrows;
	double		slope = log(share / small_share) / log((double) large->built_nrows / small->built_nrows);

	return Min(share * pow(Max(nrows / large->built_nrows, 1), Min(slope, 0)), 1);
}

/* Bytes of an index of the whole table, by those of the parts. */
static double
index_nbytes(const Trial *trial, const QhMetaData *small, const QhMetaData *large)
{
	QhMetaData	meta = *large;

	return qh_estimate_index_nbytes(&meta, trial->sample->nrows, distinct_share(small, large, trial->sample->nrows));
}

/*
 * How much more is missed in the large part than in the small one, by all options together: of each
 * alone it would be a ratio of a few rows.
 */
static double
growth_of_missed(const Trial *trial)
{
	double		small = LEAST_MISSED;
	double		large = LEAST_MISSED;

	for (int i = 0; i < trial->nfound; i++)
	{
		small += 1 - trial->found[i].small_recall;
		large += 1 - trial->found[i].recall;
	}
	return Min(Max(large / small, 1), MOST_GROWTH);
}

/*
 * Carry recall over from the large part to the whole table.  What is missed grows with the number
 * of rows, by ratios.  But the table's index will have an effort of its own that reaches the target,
 * as that of the sample has, unless that does not reach it.
 */
static void
carry_over(Trial *trial)
{
	const QhSuggestSample *sample = trial->sample;
	double		growth = growth_of_missed(trial);
	double		steps = log(sample->nrows / sample->parts[1].nrows) / log(sample->parts[1].nrows / sample->parts[0].nrows);

	for (int i = 0; i < trial->nfound; i++)
	{
		double		found = trial->found[i].recall;
		double		missed = Max(1 - found, LEAST_MISSED) * pow(growth, Max(steps, 0));

		trial->found[i].recall = Max(1 - missed, Min(found, wanted_recall(trial)));
	}
}

/* What scans of the parts find with the effort that those of the large one have by themselves. */
static void
measure_recall(Trial *trial, Oid small, Oid large, QhSuggestion *found)
{
	QhEffort	effort = qh_suggest_effort(large);

	found->recall = qh_suggest_recall(large, trial->sample, 1, &effort, &trial->truth[1]);
	if (!trial->sample->whole)
		found->small_recall = qh_suggest_recall(small, trial->sample, 0, &effort, &trial->truth[0]);
}

/* ---- trying ---- */

static char *
full_options(const Trial *trial, const Candidate *candidate)
{
	if (trial->target == 0)
		return pstrdup(candidate->options);
	return psprintf("%s, target_recall = %g", candidate->options, trial->target);
}

/* Build on the large part and measure. */
static void
measure(Trial *trial, const char *options, Oid small, const QhMetaData *small_meta)
{
	Oid			large = qh_suggest_build(trial->what, trial->sample, 1, options, true);
	QhSuggestion *found = &trial->found[trial->nfound];

	qh_suggest_read_meta(large, &found->meta);
	if (found->meta.built_nnodes > 0)
	{
		found->nbytes = index_nbytes(trial, small_meta, &found->meta);
		trial->smallest = Min(trial->smallest, found->nbytes);
		if (trial->max_nbytes == 0 || found->nbytes <= trial->max_nbytes)
		{
			measure_recall(trial, small, large, found);
			found->options = MemoryContextStrdup(trial->sample->cxt, options);
			trial->nfound++;
		}
	}
	qh_suggest_remove(large);
}

/*
 * The small part tells whether it is worth it: what takes too much is not measured, unless rows
 * share codes, of which the large part knows more.
 */
static void
try(Trial *trial, const Candidate *candidate)
{
	char	   *options = full_options(trial, candidate);
	Oid			small = qh_suggest_build(trial->what, trial->sample, 0, options, false);
	QhMetaData	meta;

	qh_suggest_read_meta(small, &meta);
	if (meta.built_nnodes > 0 && !is_known(trial, &meta))
	{
		double		nbytes = index_nbytes(trial, &meta, &meta);
		bool		distinct = meta.built_nnodes > NEARLY_DISTINCT * meta.built_nrows;

		if (trial->max_nbytes == 0 || nbytes <= trial->max_nbytes || !distinct)
			measure(trial, options, small, &meta);
		else
			trial->smallest = Min(trial->smallest, nbytes);
	}
	qh_suggest_remove(small);
}

/* ---- the best first ---- */

/* What reaches the target stands before what does not; then recall counts, and bytes where it is the same. */
static int
by_recall(const void *a, const void *b)
{
	const QhSuggestion *x = (const QhSuggestion *) a;
	const QhSuggestion *y = (const QhSuggestion *) b;
	double		rx = rint(x->recall / SAME_RECALL);
	double		ry = rint(y->recall / SAME_RECALL);

	if (rx != ry)
		return rx > ry ? -1 : 1;
	return x->nbytes < y->nbytes ? -1 : x->nbytes > y->nbytes;
}

/* The smallest first. */
static int
by_nbytes(const void *a, const void *b)
{
	const QhSuggestion *x = (const QhSuggestion *) a;
	const QhSuggestion *y = (const QhSuggestion *) b;

	return x->nbytes < y->nbytes ? -1 : x->nbytes > y->nbytes;
}

/*
 * Within a budget the most recall is best.  Without one the least bytes are, of all that reach the
 * target; what does not reach it comes behind.
 */
static void
sort_found(Trial *trial)
{
	int			nreached = 0;

	qsort(trial->found, trial->nfound, sizeof(QhSuggestion), by_recall);
	if (trial->max_nbytes > 0)
		return;
	while (nreached < trial->nfound && trial->found[nreached].recall >= wanted_recall(trial) - SAME_RECALL)
		nreached++;
	qsort(trial->found, nreached, sizeof(QhSuggestion), by_nbytes);
}

int
qh_suggest_options(const QhSuggestColumn *what, QhSuggestSample *sample, double target, double max_nbytes,
				   QhSuggestion **out, double *smallest)
{
	Trial		trial = {what, sample, target, max_nbytes, .smallest = INFINITY};
	int			n;
	const Candidate *candidates = candidates_of(what->column, &n);

	trial.found = MemoryContextAllocZero(sample->cxt, sizeof(QhSuggestion) * n);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (is_possible(&trial, &candidates[i]))
			try(&trial, &candidates[i]);
	}
	if (!sample->whole)
		carry_over(&trial);
	sort_found(&trial);
	*out = trial.found;
	*smallest = trial.smallest;
	return trial.nfound;
}
