/*
 * drift.c
 *		How far the rows of an index have moved from the centroid their codes are measured from.
 *
 * A sample of the codes says it, without the table.  See README.md, section "Drift".
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"
#include "inspect/inspect.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/*
 * Slots looked at, each on a page of its own as like as not: half a million pairs,
 * milliseconds.
 */
#define SAMPLE_NCODES	1024

/*
 * Estimates err in proportion to the distance from the centroid.  Beyond these a new centroid
 * makes them an eighth, and those of new rows a quarter, more exact.  Chosen by hand.
 */
#define DRIFT_ADVISED		0.5
#define INSERTED_ADVISED	1.25

/*
 * Codes of the live nodes among one slot of each of as many stretches of the index; returns how
 * many.
 */
static int
sample_codes(QhRelStore *rs, uint8 *codes)
{
	uint64		nslots = rs->ix->nslots;
	int			nstretches = (int) Min(nslots, SAMPLE_NCODES);
	int			ncodes = 0;
	pg_prng_state prng;

	pg_prng_seed(&prng, rs->ix->meta.seed);
	for (int i = 0; i < nstretches; i++)
	{
		QhNode		node = (QhNode) pg_prng_uint64_range(&prng, nslots * i / nstretches,
														 nslots * (i + 1) / nstretches - 1);

		CHECK_FOR_INTERRUPTS();
		if (qh_read_row(rs, node).flags != QH_ROW_NONE &&
			qh_read_code(rs, node, codes + (Size) ncodes * rs->ix->code_nbytes))
			ncodes++;
	}
	return ncodes;
}

/*
 * A codec that gives squared L2 distances between the codes of any metric and width: pairs read
 * the sign plane and the factors behind it, which all have alike.
 */
static QvCodec *
pair_codec(const QhIndex *ix)
{
	QvCodecParams params;

	/* differences do not depend on the centroid: the origin does */
	qh_meta_params(&ix->meta, &params);
	params.metric = QV_METRIC_L2;
	params.nbits = 1;
	return qv_codec_init(qh_alloc_aligned(CurrentMemoryContext, qv_codec_sizeof(&params), 64), &params);
}

/* Mean squared distance between two different codes of the sample. */
static double
mean_pair(const QhIndex *ix, const uint8 *codes, int ncodes)
{
	QvCodec    *codec = pair_codec(ix);
	float		dist[SAMPLE_NCODES];
	double		sum = 0;

	for (int i = 1; i < ncodes; i++)
	{
		qv_codec_pair_strided(codec, codes + (Size) i * ix->code_nbytes, codes, ix->code_nbytes, i, dist);
		for (int j = 0; j < i; j++)
			sum += dist[j];
	}
	return sum / (ncodes * (ncodes - 1.0) / 2);
}

/*
 * Two rows are twice as far apart (squared) as a row is from the mean of all.  What the rows are
 * farther than that from the centroid, is its distance to their mean.
 */
void
qh_measure_drift(QhRelStore *rs, QhDrift *result)
{
	const QhIndex *ix = rs->ix;
	QhMetaData	meta;
	uint8	   *codes;
	int			ncodes;
	double		norm2 = 0;
	double		spread2;

	if (ix->meta.code_kind != QV_CODE_RABITQ)
		return;
	qh_meta_read(rs->index, &meta);
	result->trained_spread = sqrt(Max(meta.sample_spread, 0));
	result->ninserts = meta.ninserts_sampled;
	result->inserted_spread = sqrt(Max(meta.inserted_norm2, 0));
	if (ix->nslots == 0)
		return;

	codes = palloc((Size) SAMPLE_NCODES * ix->code_nbytes);
	ncodes = sample_codes(rs, codes);
	if (ncodes >= 2)
	{
		for (int i = 0; i < ncodes; i++)
			norm2 += qv_codec_norm2(ix->codec, codes + (Size) i * ix->code_nbytes);
		norm2 /= ncodes;
		spread2 = mean_pair(ix, codes, ncodes) / 2;
		result->known = spread2 > 0;
		if (result->known)
		{
			result->spread = sqrt(spread2);
			result->drift = sqrt(Max(norm2 - spread2, 0) / spread2);
		}
	}
	pfree(codes);
}

bool
qh_reindex_advised(const QhDrift *drift)
{
	return (drift->known && drift->drift > DRIFT_ADVISED) ||
		(drift->ninserts > 0 && drift->trained_spread > 0 &&
		 drift->inserted_spread > INSERTED_ADVISED * drift->trained_spread);
}
