/*
 * suggest_sample.c
 *		Rows of a table, drawn into a temporary table to measure on them.
 *
 * Reads the table with the caller's rights, through SQL.  Must not know what is measured.  See
 * README.md, section "Suggestions".
 */
#include "compat.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "inspect/suggest.h"
#include "nodes/makefuncs.h"
#include "optimizer/plancat.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* Rows drawn, besides the queries; and the share of them that the smaller part has. */
#define DRAWN_NROWS		10000
#define SMALL_SHARE		0.25

/* Tables of so many pages are counted, others estimated where PostgreSQL has looked at them. */
#define COUNTED_NPAGES	50000

/* Of up to so many pages rows are drawn one by one, else by whole blocks. */
#define READ_NPAGES		200000

/* Rows have random numbers below this. */
#define NUMBER_MASK		0x3FFFFFFF

static uint64
run(const char *sql)
{
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not run: %s", sql);
	return SPI_processed;
}

/* The only value that a query returns; NULL becomes 0. */
static int64
run_for_number(const char *sql)
{
	bool		isnull;
	Datum		value;

	if (run(sql) != 1)
		return 0;
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	return isnull ? 0 : DatumGetInt64(value);
}

static char *
table_name(Relation heap)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(heap)), RelationGetRelationName(heap));
}

/* ---- drawing ---- */

/* Rows of the table, with or without a value. */
static double
count_rows(Relation heap)
{
	BlockNumber npages;
	double		ntuples;
	double		allvisible;

	if (RelationGetNumberOfBlocks(heap) <= COUNTED_NPAGES || heap->rd_rel->reltuples < 0)
		return (double) run_for_number(psprintf("SELECT count(*) FROM ONLY %s", table_name(heap)));
	estimate_rel_size(heap, NULL, &npages, &ntuples, &allvisible);
	return ntuples;
}

/* Fill the temporary table: of all rows of the table this share.  Returns how many have a value. */
static double
draw_rows(const QhSuggestColumn *what, const QhSuggestSample *sample, double share)
{
	const char *column = quote_identifier(NameStr(TupleDescAttr(RelationGetDescr(what->heap), what->attno - 1)->attname));
	const char *how = "";

	if (share < 1)
		how = psprintf(" TABLESAMPLE %s (%.8f) REPEATABLE (1)",
					   RelationGetNumberOfBlocks(what->heap) <= READ_NPAGES ? "BERNOULLI" : "SYSTEM", 100 * share);
	return (double) run(psprintf("INSERT INTO %s SELECT %s, pg_catalog.hashtidextended(ctid, 1) & %d FROM ONLY %s%s WHERE %s IS NOT NULL",
								 sample->name, column, NUMBER_MASK, table_name(what->heap), how, column));
}

static void
create_table(const QhSuggestColumn *what, QhSuggestSample *sample)
{
	char	   *name = psprintf("qhnsw_suggest_%u", RelationGetRelid(what->heap));

	sample->name = MemoryContextStrdup(sample->cxt, psprintf("pg_temp.%s", name));
	(void) run(psprintf("CREATE TEMPORARY TABLE %s (v %s, n bigint) ON COMMIT DROP", name,
						format_type_extended(what->type, what->typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY)));
	sample->relid = RangeVarGetRelid(makeRangeVar("pg_temp", name, -1), NoLock, false);
}

/* ---- parts and queries ---- */

/* The number of the row at this place in their order. */
static int64
number_at(const QhSuggestSample *sample, double place)
{
	return run_for_number(psprintf("SELECT n FROM %s ORDER BY n OFFSET %.0f LIMIT 1", sample->name, place));
}

/* The first rows by their random numbers are queries, those behind them the parts. */
static void
take_queries(const QhSuggestColumn *what, QhSuggestSample *sample, int64 first)
{
	int16		typlen = get_typlen(what->type);
	MemoryContext old;

	(void) run(psprintf("SELECT v FROM %s WHERE n < " INT64_FORMAT " LIMIT %d", sample->name, first, QH_SUGGEST_NQUERIES));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		QhValue		read;

		if (typlen == -1)
			value = PointerGetDatum(PG_DETOAST_DATUM(value));
		qh_column_read(what->column, value, &read);
		if (!qh_column_indexable(what->column, &read, 0))
			continue;
		old = MemoryContextSwitchTo(sample->cxt);
		sample->queries[sample->nqueries++] = datumCopy(value, false, typlen);
		MemoryContextSwitchTo(old);
	}
}

static void
divide(QhSuggestSample *sample, double ndrawn, int64 first)
{
	double		nqueries = Min(QH_SUGGEST_NQUERIES, ndrawn / 10);
	double		nrows = ndrawn - nqueries;
	int64		end = number_at(sample, floor(nqueries + SMALL_SHARE * nrows));
	MemoryContext old = MemoryContextSwitchTo(sample->cxt);

	sample->parts[0] = (QhSuggestPart) {
		floor(SMALL_SHARE * nrows), psprintf("n >= " INT64_FORMAT " AND n < " INT64_FORMAT, first, end)
	};
	sample->parts[1] = (QhSuggestPart) {
		nrows, psprintf("n >= " INT64_FORMAT, first)
	};
	MemoryContextSwitchTo(old);
}

bool
qh_suggest_draw(const QhSuggestColumn *what, QhSuggestSample *sample)
{
	double		nrows = count_rows(what->heap);
	double		share = Min((DRAWN_NROWS + QH_SUGGEST_NQUERIES) / Max(nrows, 1), 1);
	double		ndrawn;
	int64		first;

	create_table(what, sample);
	/* hardly more than are drawn: all of them */
	if (share > 0.8)
		share = 1;
	ndrawn = draw_rows(what, sample, share);
	sample->nrows = rint(ndrawn / share);
	sample->whole = share == 1;
	if (ndrawn < QH_SUGGEST_MIN_NROWS)
		return false;
	first = number_at(sample, floor(Min(QH_SUGGEST_NQUERIES, ndrawn / 10)));
	divide(sample, ndrawn, first);
	take_queries(what, sample, first);
	return sample->nqueries > 0;
}

void
qh_suggest_drop(QhSuggestSample *sample)
{
	(void) run(psprintf("DROP TABLE %s", sample->name));
}
