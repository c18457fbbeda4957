/*
 * drift.c
 *		How much farther the rows of an index lie from their centres than those it was built from.
 *
 * A sample of the codes says it, without the table.  See README.md, section "Drift".
 */
#include "postgres.h"

#include <math.h>

#include "common/pg_prng.h"
#include "inspect/inspect.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Slots looked at, each on a page of its own as like as not: milliseconds. */
#define SAMPLE_NCODES	1024

/*
 * Estimates err in proportion to the distance from the centre.  Beyond these new centres make them
 * an eighth, and those of new rows a quarter, more exact.  Chosen by hand.
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
 * How far rows lie from their centres today, beside how far the build's sample lay from them: what
 * estimates err in proportion to.
 */
void
qh_measure_drift(QhRelStore *rs, QhDrift *result)
{
	const QhIndex *ix = rs->ix;
	QhMetaData	meta;
	uint8	   *codes;
	int			ncodes;
	double		norm2 = 0;
	double		trained2;

	if (ix->meta.code_kind != QV_CODE_RABITQ)
		return;
	qh_meta_read(rs->index, &meta);
	trained2 = Max(meta.sample_spread, 0);
	result->trained_spread = sqrt(trained2);
	result->ninserts = meta.ninserts_sampled;
	result->inserted_spread = sqrt(Max(meta.inserted_norm2, 0));
	if (ix->nslots == 0)
		return;

	codes = palloc((Size) SAMPLE_NCODES * ix->code_nbytes);
	ncodes = sample_codes(rs, codes);
	for (int i = 0; i < ncodes; i++)
		norm2 += qv_codec_norm2(ix->codec, codes + (Size) i * ix->code_nbytes) / ncodes;
	pfree(codes);
	result->known = ncodes >= 2 && norm2 > 0;
	if (!result->known)
		return;
	result->spread = sqrt(norm2);
	result->drift_known = trained2 > 0;
	if (result->drift_known)
		result->drift = sqrt(Max(norm2 / trained2 - 1, 0));
}

bool
qh_reindex_advised(const QhDrift *drift)
{
	return (drift->drift_known && drift->drift > DRIFT_ADVISED) ||
		(drift->ninserts > 0 && drift->trained_spread > 0 &&
		 drift->inserted_spread > INSERTED_ADVISED * drift->trained_spread);
}
