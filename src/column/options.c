/*
 * options.c
 *		Storage parameters of qhnsw indexes and the qhnsw.* settings.
 *
 * Defines them, checks them against the column, and answers for their defaults.  README.md,
 * sections "Storage parameters" and "Settings".
 */
#include "postgres.h"

#include <float.h>

#include "access/reloptions.h"
#include "column/options.h"
#include "compat.h"
#include "store/versioned_read.h"
#include "utils/guc.h"

int			qhnsw_ef_search = 0;
double		qhnsw_target_recall = 0;
double		qhnsw_oversample = 0;
int			qhnsw_rescore = QH_RESCORE_AUTO;
int			qhnsw_iterative_scan = QH_ITERATIVE_STRICT;
int			qhnsw_max_scan_tuples = 0;
double		qhnsw_scan_mem_multiplier = 1;
bool		qhnsw_flat = false;

static relopt_kind qhnsw_relopt_kind;

static const struct config_enum_entry iterative_scan_values[] = {
	{"off", QH_ITERATIVE_OFF, false},
	{"relaxed_order", QH_ITERATIVE_RELAXED, false},
	{"strict_order", QH_ITERATIVE_STRICT, false},
	{NULL, 0, false}
};

static const struct config_enum_entry rescore_settings[] = {
	{"auto", QH_RESCORE_AUTO, false},
	{"on", QH_RESCORE_ON, false},
	{"off", QH_RESCORE_OFF, false},
	{"true", QH_RESCORE_ON, true},
	{"false", QH_RESCORE_OFF, true},
	{"yes", QH_RESCORE_ON, true},
	{"no", QH_RESCORE_OFF, true},
	{"1", QH_RESCORE_ON, true},
	{"0", QH_RESCORE_OFF, true},
	{NULL, 0, false}
};

/* Tools that write options anew leave out the quotes, and then the x, which no number ends with. */
static relopt_enum_elt_def compression_values[] = {
	{"1x", QH_COMPRESSION_1X},
	{"2x", QH_COMPRESSION_2X},
	{"4x", QH_COMPRESSION_4X},
	{"8x", QH_COMPRESSION_8X},
	{"16x", QH_COMPRESSION_16X},
	{"32x", QH_COMPRESSION_32X},
	{"1", QH_COMPRESSION_1X},
	{"2", QH_COMPRESSION_2X},
	{"4", QH_COMPRESSION_4X},
	{"8", QH_COMPRESSION_8X},
	{"16", QH_COMPRESSION_16X},
	{"32", QH_COMPRESSION_32X},
	{NULL, 0}
};

/* A boolean that may be unset, which the server's own options are not. */
static relopt_enum_elt_def rescore_values[] = {
	{"on", QH_RESCORE_ON},
	{"off", QH_RESCORE_OFF},
	{"true", QH_RESCORE_ON},
	{"false", QH_RESCORE_OFF},
	{"yes", QH_RESCORE_ON},
	{"no", QH_RESCORE_OFF},
	{"1", QH_RESCORE_ON},
	{"0", QH_RESCORE_OFF},
	{NULL, 0}
};

static relopt_enum_elt_def mode_values[] = {
	{"on_disk", QH_MODE_ON_DISK},
	{"in_memory", QH_MODE_IN_MEMORY},
	{NULL, 0}
};

static relopt_enum_elt_def refine_values[] = {
	{"none", 0},
	{"int2", 2},
	{"int4", 4},
	{"int8", 8},
	{"half", 16},
	{"float", 32},
	{NULL, 0}
};

static void
define_reloptions(void)
{
	qhnsw_relopt_kind = add_reloption_kind();
	add_int_reloption(qhnsw_relopt_kind, "m", "Number of links a node asks for",
					  QH_DEFAULT_M, QH_MIN_M, QH_MAX_M, AccessExclusiveLock);
	add_int_reloption(qhnsw_relopt_kind, "ef_construction",
					  "Number of candidates considered for the links of a node",
					  QH_DEFAULT_EF_CONSTRUCTION, QH_MIN_EF_CONSTRUCTION, QH_MAX_EF_CONSTRUCTION, AccessExclusiveLock);
	add_enum_reloption(qhnsw_relopt_kind, "compression",
					   "How many times smaller than 32-bit floats the codes are",
					   compression_values, QH_COMPRESSION_DEFAULT,
					   gettext_noop("Valid values are \"1x\", \"2x\", \"4x\", \"8x\", \"16x\" and \"32x\"."),
					   AccessExclusiveLock);
	add_enum_reloption(qhnsw_relopt_kind, "mode",
					   "Codes with rescoring from the table, or full values in the index",
					   mode_values, QH_MODE_DEFAULT,
					   gettext_noop("Valid values are \"on_disk\" and \"in_memory\"."),
					   AccessExclusiveLock);
	add_enum_reloption(qhnsw_relopt_kind, "rescore",
					   "Reads the column to put rows into their exact order",
					   rescore_values, QH_RESCORE_AUTO,
					   gettext_noop("Valid values are \"on\" and \"off\"."),
					   ShareUpdateExclusiveLock);
	add_int_reloption(qhnsw_relopt_kind, "ef_search",
					  "Number of candidates a search keeps",
					  0, 1, QH_MAX_EF_SEARCH, ShareUpdateExclusiveLock);
	add_real_reloption(qhnsw_relopt_kind, "oversample",
					   "Candidates rescored for each row wanted",
					   0, 1, 100, ShareUpdateExclusiveLock);
	add_enum_reloption(qhnsw_relopt_kind, "refine",
					   "Finer code kept beside the one searches walk by",
					   refine_values, 0,
					   gettext_noop("Valid values are \"none\", \"int2\", \"int4\", \"int8\", \"half\" and \"float\"."),
					   AccessExclusiveLock);
	add_real_reloption(qhnsw_relopt_kind, "hub_fraction",
					   "Share of nodes that keep their links at full length in a graph of low storage",
					   0, 0, 0.5, AccessExclusiveLock);
	add_int_reloption(qhnsw_relopt_kind, "m_low",
					  "Number of 4-byte words for the links of the other nodes",
					  0, QH_MIN_M_LOW, 2 * QH_MAX_M, AccessExclusiveLock);
	add_real_reloption(qhnsw_relopt_kind, "target_recall",
					   "Share of the nearest rows that scans are to find",
					   0, QH_MIN_TARGET_RECALL, QH_MAX_TARGET_RECALL, ShareUpdateExclusiveLock);
	add_int_reloption(qhnsw_relopt_kind, "dims",
					  "Dimension of the column, where neither its type nor its rows say",
					  0, 1, 64000, AccessExclusiveLock);
	add_string_reloption(qhnsw_relopt_kind, "batch_function",
						 "Function that computes many values of the index's expression at once",
						 NULL, NULL, ShareUpdateExclusiveLock);
	add_int_reloption(qhnsw_relopt_kind, "batch_size",
					  "Number of values that batch_function computes in one call, at most",
					  0, 1, QH_MAX_BATCH_SIZE, ShareUpdateExclusiveLock);
}

static bool
check_target_recall(double *newval, void **extra, GucSource source)
{
	if (*newval == 0 || *newval >= QH_MIN_TARGET_RECALL)
		return true;
	GUC_check_errdetail("It is 0, for the index's own, or between %g and %g.",
						QH_MIN_TARGET_RECALL, QH_MAX_TARGET_RECALL);
	return false;
}

static void
define_settings(void)
{
	DefineCustomIntVariable("qhnsw.ef_search",
							"Sets the number of candidates a search keeps.",
							"0 takes the index's own, or takes it from target_recall.", &qhnsw_ef_search,
							0, 0, QH_MAX_EF_SEARCH, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("qhnsw.target_recall",
							 "Sets the share of the nearest rows that scans are to find.",
							 "0 takes the index's own.", &qhnsw_target_recall,
							 0, 0, QH_MAX_TARGET_RECALL, PGC_USERSET, 0, check_target_recall, NULL, NULL);
	DefineCustomRealVariable("qhnsw.oversample",
							 "Sets how many candidates are rescored for each row wanted.",
							 "0 takes the index's own.", &qhnsw_oversample,
							 0, 0, 100, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("qhnsw.rescore",
							 "Reads the column to put rows into their exact order.",
							 "If off, rows come in the order of their codes; auto takes the index's own.", &qhnsw_rescore,
							 QH_RESCORE_AUTO, rescore_settings, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("qhnsw.iterative_scan",
							 "Sets how a scan goes on when more rows are wanted than ef_search found.",
							 NULL, &qhnsw_iterative_scan,
							 QH_ITERATIVE_STRICT, iterative_scan_values, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("qhnsw.max_scan_tuples",
							"Sets the number of codes after which a graph search goes no further.",
							"0 lets no number end it.", &qhnsw_max_scan_tuples,
							0, 0, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("qhnsw.scan_mem_multiplier",
							 "Sets the memory a scan may use, as a multiple of work_mem.",
							 NULL, &qhnsw_scan_mem_multiplier,
							 1, 1, 1000, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("qhnsw.flat",
							 "Scans all codes of the index in place of its graph.",
							 NULL, &qhnsw_flat, false, PGC_USERSET, 0, NULL, NULL, NULL);

	/* for developers: not shown, and documented in src/store/UNPINNED.md only */
	DefineCustomBoolVariable("qhnsw.optimistic_read",
							 "Scores codes in shared buffers without pinning their pages.",
							 NULL, &qh_optimistic_read, true, PGC_SUSET,
							 GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	MarkGUCPrefixReserved("qhnsw");
}

void
qhnsw_init(void)
{
	define_reloptions();
	define_settings();
}

bytea *
qhnswoptions(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{"m", RELOPT_TYPE_INT, offsetof(QhOptions, m)},
		{"ef_construction", RELOPT_TYPE_INT, offsetof(QhOptions, ef_construction)},
		{"compression", RELOPT_TYPE_ENUM, offsetof(QhOptions, compression)},
		{"mode", RELOPT_TYPE_ENUM, offsetof(QhOptions, mode)},
		{"rescore", RELOPT_TYPE_ENUM, offsetof(QhOptions, rescore)},
		{"ef_search", RELOPT_TYPE_INT, offsetof(QhOptions, ef_search)},
		{"oversample", RELOPT_TYPE_REAL, offsetof(QhOptions, oversample)},
		{"refine", RELOPT_TYPE_ENUM, offsetof(QhOptions, refine)},
		{"hub_fraction", RELOPT_TYPE_REAL, offsetof(QhOptions, hub_fraction)},
		{"m_low", RELOPT_TYPE_INT, offsetof(QhOptions, m_low)},
		{"dims", RELOPT_TYPE_INT, offsetof(QhOptions, dims)},
		{"target_recall", RELOPT_TYPE_REAL, offsetof(QhOptions, target_recall)},
		{"batch_function", RELOPT_TYPE_STRING, offsetof(QhOptions, batch_function)},
		{"batch_size", RELOPT_TYPE_INT, offsetof(QhOptions, batch_size)},
	};

	return (bytea *) build_reloptions(reloptions, validate, qhnsw_relopt_kind,
									  sizeof(QhOptions), table, lengthof(table));
}

int
qh_option_m(Relation index)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	return options ? options->m : QH_DEFAULT_M;
}

int
qh_option_ef_construction(Relation index)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	return options ? options->ef_construction : QH_DEFAULT_EF_CONSTRUCTION;
}

float4
qh_option_hub_fraction(Relation index)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	return options ? options->hub_fraction : 0;
}

int
qh_option_m_low(Relation index)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	if (qh_option_hub_fraction(index) == 0)
		return 0;
	return options->m_low > 0 ? options->m_low : Min(QH_DEFAULT_M_LOW, 2 * options->m);
}

/*
 * "compression" says how many times smaller than 32 bits a code is; without it "mode" decides, 1x
 * or 32x.
 */
int
qh_option_code_nbits(Relation index, const QhColumn *column)
{
	QhOptions  *options = (QhOptions *) index->rd_options;
	int			compression = options ? options->compression : QH_COMPRESSION_DEFAULT;

	if (!column->compressible)
		return 1;
	if (compression == QH_COMPRESSION_DEFAULT)
		compression = options && options->mode == QH_MODE_IN_MEMORY ? QH_COMPRESSION_1X : QH_COMPRESSION_32X;
	return 32 / compression;
}

int
qh_option_refine_nbits(Relation index)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	return options ? options->refine : 0;
}

/*
 * In memory, the codes are what rows are ordered by: but not those of an index that was given
 * this mode and has the narrower codes of another, before it is built anew.  Halves stand for
 * floats that are too many for a page.
 */
bool
qh_option_rescore(Relation index, const QhColumn *column, int code_nbits)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	if (column->kind == QV_CODE_BITS)
		return false;
	if (qhnsw_rescore != QH_RESCORE_AUTO)
		return qhnsw_rescore == QH_RESCORE_ON;
	if (options == NULL)
		return true;
	if (options->rescore != QH_RESCORE_AUTO)
		return options->rescore == QH_RESCORE_ON;
	return options->mode != QH_MODE_IN_MEMORY ||
		code_nbits < Min(qh_option_code_nbits(index, column), 16);
}

int
qh_option_ef_search(Relation index)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	if (qhnsw_ef_search > 0)
		return qhnsw_ef_search;
	/* a setting that asks for recall overrides an effort that the index states */
	if (qhnsw_target_recall > 0 || options == NULL)
		return 0;
	return options->ef_search;
}

/* The defaults: 3.0 for 32x, 2.0 for 16x and 8x, 1.0 else.  doc/decisions/0030. */
double
qh_option_oversample(Relation index, int code_nbits)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	if (qhnsw_oversample > 0)
		return Max(qhnsw_oversample, 1);
	if (options && options->oversample > 0)
		return options->oversample;
	return code_nbits == 1 ? 3.0 : code_nbits <= 4 ? 2.0 : 1.0;
}

bool
qh_option_oversample_is_set(Relation index)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	return qhnsw_oversample > 0 || (options && options->oversample > 0);
}

double
qh_option_target_recall(Relation index)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	if (qhnsw_target_recall > 0)
		return qhnsw_target_recall;
	return options ? options->target_recall : 0;
}

const char *
qh_option_batch_function(Relation index)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	return options ? GET_STRING_RELOPTION(options, batch_function) : NULL;
}

int
qh_option_batch_size(Relation index)
{
	QhOptions  *options = (QhOptions *) index->rd_options;

	return options && options->batch_size > 0 ? options->batch_size : QH_DEFAULT_BATCH_SIZE;
}

/*
 * What says how values become codes is nothing to say of bits.  An index that got it by ALTER INDEX,
 * which does not know the column, is rebuilt without it: else neither REINDEX nor TRUNCATE would do.
 * Whether scans rescore changes nothing for bits, and may be set.
 */
static void
refuse_for_bits(Relation index, const QhColumn *column, const QhOptions *options)
{
	bool		is_new = index->rd_createSubid != InvalidSubTransactionId;
	const char *name = options->compression != QH_COMPRESSION_DEFAULT ? "compression" :
		options->mode != QH_MODE_DEFAULT ? "mode" :
		options->refine != 0 ? "refine" : NULL;

	if (name != NULL)
		ereport(is_new ? ERROR : WARNING,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("storage parameter \"%s\" does not apply to type %s", name, column->type_name),
				 errdetail("Its codes are the values themselves.")));
}

uint32
qh_option_check(Relation index, const QhColumn *column)
{
	QhOptions  *options = (QhOptions *) index->rd_options;
	uint32		typed = column->typmod_ndims(TupleDescAttr(RelationGetDescr(index), 0)->atttypmod);
	uint32		dims = options ? options->dims : 0;

	if (column->kind == QV_CODE_BITS && options != NULL)
		refuse_for_bits(index, column, options);
	if (qh_option_m_low(index) > 2 * qh_option_m(index))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("storage parameter \"m_low\" is %d, but lists of links take no more than %d words at m = %d",
						qh_option_m_low(index), 2 * qh_option_m(index), qh_option_m(index))));
	if (options && options->batch_size > 0 && qh_option_batch_function(index) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("storage parameter \"batch_size\" does nothing without \"batch_function\"")));
	if (typed > 0 && dims > 0 && typed != dims)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("storage parameter \"dims\" is %u, but the column has %u dimensions",
						dims, typed)));
	if (dims > column->max_ndims)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("type %s cannot be indexed with %u dimensions", column->type_name, dims),
				 errdetail("The maximum is %u.", column->max_ndims)));
	return typed > 0 ? typed : dims;
}
