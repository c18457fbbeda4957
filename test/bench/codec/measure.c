/*
 * measure.c
 *		What the codes of a file of embeddings find, and what they cost.
 *
 * measure FILE.fbin [NQUERIES [METRIC]]: uint32 n, uint32 ndims, then n * ndims
 * little-endian floats.  Rows are shuffled with a fixed seed, the last NQUERIES
 * (500) are the queries; METRIC is cosine (default), l2 or ip.  Prints the share of the
 * true ten among the best c by each way to compare codes, then times.  Built
 * and run by "run" beside it; results in test/bench/results/codec.md.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/codec.h"
#include "codec/rotation.h"
#include "kernel/kernel.h"
#include "rivals.h"

#define K			10
#define NCUTS		5
#define MAX_CUT		80
#define SEED		UINT64_C(1)
#define NREPEATS	25			/* timings: the best of as many */
#define CACHE_NBYTES	1e6

static const int cuts[NCUTS] = {10, 20, 30, 40, MAX_CUT};

/* How codes are compared with a query. */
typedef enum Method
{
	METHOD_SIGN,				/* Hamming distance of the signs of the raw vectors */
	METHOD_CODE_HAMMING,		/* Hamming distance of the codes */
	METHOD_PAIR,				/* code against code */
	METHOD_SCORE,				/* query against code */
	METHOD_RIVAL				/* query's floats against what a rival's code stands for */
} Method;

typedef struct Way
{
	const char *name;
	Method		method;
	uint32_t	nbits;
	QvCodecPurpose purpose;
	Rival		rival;
	bool		rotated;		/* the rival's vectors */
} Way;

static const Way ways[] = {
	{"sign, Hamming", METHOD_SIGN, 1, QV_PURPOSE_TRAVERSE, NULL, false},
	{"centred + rotated sign, Hamming", METHOD_CODE_HAMMING, 1, QV_PURPOSE_TRAVERSE, NULL, false},
	{"code against code (pair)", METHOD_PAIR, 1, QV_PURPOSE_TRAVERSE, NULL, false},
	{"RaBitQ 1 bit", METHOD_SCORE, 1, QV_PURPOSE_TRAVERSE, NULL, false},
	{"OSQ 1 bit", METHOD_RIVAL, 1, QV_PURPOSE_TRAVERSE, rival_osq, false},
	{"Gaussian 1 bit", METHOD_RIVAL, 1, QV_PURPOSE_TRAVERSE, rival_gaussian, true},
	{"RaBitQ 2 bits", METHOD_SCORE, 2, QV_PURPOSE_TRAVERSE, NULL, false},
	{"OSQ 2 bits", METHOD_RIVAL, 2, QV_PURPOSE_TRAVERSE, rival_osq, false},
	{"Gaussian 2 bits", METHOD_RIVAL, 2, QV_PURPOSE_TRAVERSE, rival_gaussian, true},
	{"RaBitQ 4 bits", METHOD_SCORE, 4, QV_PURPOSE_TRAVERSE, NULL, false},
	{"OSQ 4 bits", METHOD_RIVAL, 4, QV_PURPOSE_TRAVERSE, rival_osq, false},
	{"Gaussian 4 bits", METHOD_RIVAL, 4, QV_PURPOSE_TRAVERSE, rival_gaussian, true},
	{"RaBitQ 8 bits", METHOD_SCORE, 8, QV_PURPOSE_TRAVERSE, NULL, false},
	{"RaBitQ half", METHOD_SCORE, 16, QV_PURPOSE_TRAVERSE, NULL, false},
	{"RaBitQ 4 bits to refine", METHOD_SCORE, 4, QV_PURPOSE_REFINE, NULL, false},
	{"RaBitQ 8 bits to refine", METHOD_SCORE, 8, QV_PURPOSE_REFINE, NULL, false},
};

#define NWAYS	((int) (sizeof(ways) / sizeof(ways[0])))

typedef struct Data
{
	uint32_t	n;				/* base rows */
	uint32_t	nqueries;
	uint32_t	ndims;
	float	   *rows;			/* base rows, then queries */
} Data;

/* Everything that is kept of the base rows for one way. */
typedef struct Coded
{
	const Way  *way;
	QvMetric	metric;
	QvCodec    *codec;
	QvQuery    *query;
	void	   *scratch;
	size_t		slot_nbytes;
	size_t		code_nbytes;	/* bits of a slot */
	size_t		sign_nbytes;
	uint8_t    *slots;
	uint8_t    *signs;
	const uint8_t **shuffled;	/* slots in random order */
	/* of a rival */
	float	   *centroid;
	float	   *rotation;
	uint32_t	code_ndims;
	float	   *rows;			/* code_ndims floats each */
	double	   *squares;		/* squared norms of the centred rows */
} Coded;

static void *
get_memory(size_t nbytes)
{
	void	   *p = aligned_alloc(64, (nbytes + 64) / 64 * 64);

	if (p == NULL)
	{
		perror("aligned_alloc");
		exit(1);
	}
	return p;
}

static uint64_t
next_random(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static inline float *
row(const Data *data, uint32_t i)
{
	return data->rows + (size_t) i * data->ndims;
}

static Data
load(const char *path, uint32_t nqueries)
{
	FILE	   *file = fopen(path, "rb");
	uint32_t	head[2];
	uint64_t	state = SEED;
	Data		data;
	float	   *swap;

	if (file == NULL || fread(head, sizeof(head), 1, file) != 1)
	{
		perror(path);
		exit(1);
	}
	if (head[0] <= nqueries + MAX_CUT || head[1] == 0 || head[1] > QV_RABITQ_MAX_NDIMS)
	{
		fprintf(stderr, "%s: %u x %u floats cannot be measured with %u queries\n", path, head[0], head[1], nqueries);
		exit(1);
	}
	data = (Data) {.n = head[0] - nqueries, .nqueries = nqueries, .ndims = head[1]};
	data.rows = get_memory((size_t) head[0] * head[1] * sizeof(float));
	if (fread(data.rows, sizeof(float) * head[1], head[0], file) != head[0])
	{
		fprintf(stderr, "%s: file is too short\n", path);
		exit(1);
	}
	fclose(file);

	swap = get_memory(sizeof(float) * head[1]);
	for (uint32_t i = head[0] - 1; i > 0; i--)
	{
		uint32_t	j = (uint32_t) (next_random(&state) % (i + 1));

		memcpy(swap, row(&data, i), sizeof(float) * head[1]);
		memmove(row(&data, i), row(&data, j), sizeof(float) * head[1]);
		memcpy(row(&data, j), swap, sizeof(float) * head[1]);
	}
	free(swap);
	return data;
}

static double
exact_distance(QvMetric metric, const float *x, const float *q, uint32_t ndims)
{
	const QvKernels *k = qv_kernels();

	if (metric == QV_METRIC_L2)
		return k->l2sq_f32(x, q, ndims);
	if (metric == QV_METRIC_IP)
		return -k->dot_f32(x, q, ndims);
	return 1.0 - k->dot_f32(x, q, ndims) / sqrt(k->dot_f32(x, x, ndims) * k->dot_f32(q, q, ndims));
}

/* Mean of the base rows, normalised first under cosine, and the largest norm. */
static float *
centroid_of(const Data *data, QvMetric metric, float *max_norm)
{
	double	   *sum = get_memory(sizeof(double) * data->ndims);
	float	   *mean = get_memory(sizeof(float) * data->ndims);

	memset(sum, 0, sizeof(double) * data->ndims);
	*max_norm = 0.0f;
	for (uint32_t i = 0; i < data->n; i++)
	{
		double		norm = sqrt(qv_kernels()->dot_f32(row(data, i), row(data, i), data->ndims));

		*max_norm = fmaxf(*max_norm, (float) norm);
		for (uint32_t j = 0; j < data->ndims; j++)
			sum[j] += row(data, i)[j] / (metric == QV_METRIC_COSINE ? norm : 1.0);
	}
	for (uint32_t j = 0; j < data->ndims; j++)
		mean[j] = (float) (sum[j] / data->n);
	free(sum);
	return mean;
}

/* x - c, of unit vectors under cosine, rotated where the way wants it; code_ndims floats. */
static double
centre(const Coded *coded, uint32_t ndims, const float *x, float *out)
{
	double		norm = coded->metric == QV_METRIC_COSINE ? sqrt(qv_kernels()->dot_f32(x, x, ndims)) : 1.0;

	memset(out, 0, sizeof(float) * coded->code_ndims);
	for (uint32_t i = 0; i < ndims; i++)
		out[i] = (float) (x[i] / norm) - coded->centroid[i];
	if (coded->way->rotated)
		qv_rotation_apply(coded->rotation, coded->code_ndims, out);
	return qv_kernels()->dot_f32(out, out, coded->code_ndims);
}

static void
encode_rival(const Data *data, Coded *coded)
{
	coded->code_ndims = coded->way->rotated ? qv_rotation_ndims(data->ndims) : data->ndims;
	coded->rotation = get_memory(sizeof(float) * qv_rotation_nfloats(coded->code_ndims));
	if (coded->way->rotated)
		qv_rotation_init(coded->rotation, coded->code_ndims, SEED);
	coded->rows = get_memory(sizeof(float) * coded->code_ndims * data->n);
	coded->squares = get_memory(sizeof(double) * data->n);
	for (uint32_t i = 0; i < data->n; i++)
	{
		float	   *x = coded->rows + (size_t) i * coded->code_ndims;

		coded->squares[i] = centre(coded, data->ndims, row(data, i), x);
		coded->way->rival(x, coded->code_ndims, (int) coded->way->nbits);
	}
}

static Coded
encode(const Data *data, QvMetric metric, const Way *way)
{
	float		max_norm;
	Coded		coded = {.way = way, .metric = metric, .centroid = centroid_of(data, metric, &max_norm)};
	QvCodecParams params = {
		.kind = QV_CODE_RABITQ, .metric = metric, .ndims = data->ndims, .nbits = way->nbits, .purpose = way->purpose, .seed = SEED,
		.max_norm = metric == QV_METRIC_IP ? max_norm : 0.0f, .centroid = coded.centroid
	};
	uint64_t	state = SEED;
	uint64_t	nshuffled;

	if (way->method == METHOD_RIVAL)
	{
		encode_rival(data, &coded);
		return coded;
	}
	coded.codec = qv_codec_init(get_memory(qv_codec_sizeof(&params)), &params);
	coded.query = get_memory(qv_query_sizeof(coded.codec));
	coded.scratch = get_memory(qv_codec_scratch_nbytes(coded.codec));
	coded.slot_nbytes = qv_codec_slot_nbytes(&params);
	coded.code_nbytes = qv_codec_code_nbits(&params) / 8;
	coded.sign_nbytes = (data->ndims + 7) / 8;
	coded.slots = get_memory(coded.slot_nbytes * data->n);
	coded.signs = get_memory(coded.sign_nbytes * data->n);
	coded.shuffled = get_memory(sizeof(uint8_t *) * data->n);
	for (uint32_t i = 0; i < data->n; i++)
	{
		qv_codec_encode(coded.codec, row(data, i), coded.slots + coded.slot_nbytes * i, coded.scratch);
		qv_kernels()->signs_f32(row(data, i), data->ndims, coded.signs + coded.sign_nbytes * i);
	}
	nshuffled = (uint64_t) (CACHE_NBYTES / (double) coded.slot_nbytes);
	nshuffled = nshuffled < data->n ? nshuffled : data->n;
	for (uint32_t i = 0; i < data->n; i++)
		coded.shuffled[i] = coded.slots + coded.slot_nbytes * (next_random(&state) % nshuffled);
	return coded;
}

static void
forget(Coded *coded)
{
	free(coded->codec);
	free(coded->query);
	free(coded->scratch);
	free(coded->slots);
	free(coded->signs);
	free(coded->shuffled);
	free(coded->centroid);
	free(coded->rotation);
	free(coded->rows);
	free(coded->squares);
}

/* |r|^2 - 2 <r,q'>: the metric adds the query's own norm, and nothing else that matters to the order. */
static void
rival_distances(const Data *data, const Coded *coded, const float *query, float *dist)
{
	float	   *centred = get_memory(sizeof(float) * coded->code_ndims);

	centre(coded, data->ndims, query, centred);
	for (uint32_t i = 0; i < data->n; i++)
		dist[i] = (float) (coded->squares[i] -
						   2.0 * qv_kernels()->dot_f32(coded->rows + (size_t) i * coded->code_ndims, centred, coded->code_ndims));
	free(centred);
}

/* Distances of every base row to one query. */
static void
distances(const Data *data, const Coded *coded, const float *query, float *dist)
{
	uint8_t    *own = get_memory(coded->slot_nbytes + QV_RABITQ_MAX_NDIMS / 8);
	uint32_t   *count = get_memory(sizeof(uint32_t) * data->n);
	Method		method = coded->way->method;

	switch (method)
	{
		case METHOD_SIGN:
			qv_kernels()->signs_f32(query, data->ndims, own);
			qv_kernels()->hamming_strided(own, coded->signs, coded->sign_nbytes, (int) data->n, coded->sign_nbytes, count);
			break;
		case METHOD_CODE_HAMMING:
			qv_codec_encode(coded->codec, query, own, coded->scratch);
			qv_kernels()->hamming_strided(own, coded->slots, coded->slot_nbytes, (int) data->n, coded->code_nbytes, count);
			break;
		case METHOD_PAIR:
			qv_codec_encode(coded->codec, query, own, coded->scratch);
			qv_codec_pair_strided(coded->codec, own, coded->slots, coded->slot_nbytes, (int) data->n, dist);
			break;
		case METHOD_SCORE:
			qv_query_init(coded->query, coded->codec, query, coded->scratch);
			qv_query_score_strided(coded->query, coded->slots, coded->slot_nbytes, (int) data->n, dist);
			break;
		case METHOD_RIVAL:
			rival_distances(data, coded, query, dist);
			break;
	}
	for (uint32_t i = 0; (method == METHOD_SIGN || method == METHOD_CODE_HAMMING) && i < data->n; i++)
		dist[i] = (float) count[i];
	free(count);
	free(own);
}

/*
 * The c nearest, nearest first; equal ones in the order of the (shuffled) rows,
 * so that a tie is neither luck nor loss.
 */
static void
nearest(const float *dist, uint32_t n, int c, uint32_t *best)
{
	int			nbest = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		int			at = nbest;

		if (nbest == c && dist[i] >= dist[best[c - 1]])
			continue;
		if (nbest == c)
			at--;
		else
			nbest++;
		for (; at > 0 && dist[best[at - 1]] > dist[i]; at--)
			best[at] = best[at - 1];
		best[at] = i;
	}
}

/* The true K nearest of every query. */
static uint32_t *
find_truth(const Data *data, QvMetric metric)
{
	uint32_t   *truth = get_memory(sizeof(uint32_t) * K * data->nqueries);
	float	   *dist = get_memory(sizeof(float) * data->n);

	for (uint32_t q = 0; q < data->nqueries; q++)
	{
		for (uint32_t i = 0; i < data->n; i++)
			dist[i] = (float) exact_distance(metric, row(data, i), row(data, data->n + q), data->ndims);
		nearest(dist, data->n, K, truth + (size_t) K * q);
	}
	free(dist);
	return truth;
}

static void
print_recall(const Data *data, const Coded *coded, const uint32_t *truth)
{
	double		found[NCUTS] = {0};
	float	   *dist = get_memory(sizeof(float) * data->n);
	uint32_t	best[MAX_CUT];

	for (uint32_t q = 0; q < data->nqueries; q++)
	{
		distances(data, coded, row(data, data->n + q), dist);
		nearest(dist, data->n, MAX_CUT, best);
		for (int cut = 0; cut < NCUTS; cut++)
		{
			for (int i = 0; i < K; i++)
			{
				for (int j = 0; j < cuts[cut]; j++)
					found[cut] += truth[(size_t) K * q + i] == best[j];
			}
		}
	}
	printf("| %s |", coded->way->name);
	for (int cut = 0; cut < NCUTS; cut++)
		printf(" %.3f |", found[cut] / (K * (double) data->nqueries));
	printf("\n");
	fflush(stdout);
	free(dist);
}

/* Under inner product pairs estimate the augmented distance, which is no answer to a query, and rivals are not written. */
static bool
answers(const Way *way, QvMetric metric)
{
	return metric != QV_METRIC_IP || (way->method != METHOD_PAIR && way->method != METHOD_RIVAL);
}

typedef enum Work
{
	WORK_ENCODE,
	WORK_QUERY,
	WORK_SCORE_STRIDED,
	WORK_SCORE_POINTER,
	WORK_PAIR_STRIDED,
	NWORKS
} Work;

static const char *const work_names[NWORKS] = {
	"encode", "prepare a query", "score, strided", "score, by pointer, random order", "pair, strided"
};

/* Best time of one operation in ns. */
static double
time_of(const Data *data, const Coded *coded, Work work)
{
	float	   *dist = get_memory(sizeof(float) * data->n);
	uint8_t		slot[QV_SLOT_MAX_NBYTES];
	double		best = INFINITY;
	/* as many as the second-level cache holds, which is what kernels are judged by; pages cost what they cost */
	uint32_t	n = (uint32_t) (CACHE_NBYTES / coded->slot_nbytes);

	n = n < data->n ? n : data->n;

	qv_query_init(coded->query, coded->codec, row(data, data->n), coded->scratch);
	for (int repeat = 0; repeat < NREPEATS; repeat++)
	{
		double		start = now_ns();

		switch (work)
		{
			case WORK_ENCODE:
				for (uint32_t i = 0; i < n; i++)
					qv_codec_encode(coded->codec, row(data, i), slot, coded->scratch);
				break;
			case WORK_QUERY:
				for (uint32_t i = 0; i < n; i++)
					qv_query_init(coded->query, coded->codec, row(data, i), coded->scratch);
				break;
			case WORK_SCORE_STRIDED:
				qv_query_score_strided(coded->query, coded->slots, coded->slot_nbytes, (int) n, dist);
				break;
			case WORK_SCORE_POINTER:
				qv_query_score(coded->query, coded->shuffled, (int) n, dist);
				break;
			default:
				qv_codec_pair_strided(coded->codec, coded->slots, coded->slots, coded->slot_nbytes, (int) n, dist);
				break;
		}
		best = fmin(best, (now_ns() - start) / n);
	}
	free(dist);
	return best;
}

static void
print_times(const Data *data, const Coded *coded)
{
	const QvKernels *level;
	bool		usable;

	for (int i = 0; (level = qv_kernels_level(i, &usable)) != NULL; i++)
	{
		if (!usable || !qv_kernels_force(level->name))
			continue;
		printf("| %s | %s | %zu |", coded->way->name, level->name, coded->slot_nbytes);
		for (int work = 0; work < NWORKS; work++)
		{
			double		ns;

			if (work == WORK_PAIR_STRIDED && coded->way->purpose == QV_PURPOSE_REFINE)
			{
				printf(" |");
				continue;
			}
			ns = time_of(data, coded, (Work) work);
			printf(" %.*f |", ns < 100 ? 1 : 0, ns);
		}
		printf("\n");
		fflush(stdout);
	}
	qv_kernels_force("auto");
}

/* Tables of what every way finds, and of what the room's own codes cost. */
static void
print_tables(const Data *data, QvMetric metric)
{
	uint32_t   *truth = find_truth(data, metric);

	printf("| code | c=10 | 20 | 30 | 40 | 80 |\n|---|---|---|---|---|---|\n");
	for (int i = 0; i < NWAYS; i++)
	{
		Coded		coded;

		if (!answers(&ways[i], metric))
			continue;
		coded = encode(data, metric, &ways[i]);
		print_recall(data, &coded, truth);
		forget(&coded);
	}
	printf("\n| ns | level | slot |");
	for (int work = 0; work < NWORKS; work++)
		printf(" %s |", work_names[work]);
	printf("\n|---|---|---|---|---|---|---|---|\n");
	for (int i = 0; i < NWAYS; i++)
	{
		Coded		coded;

		if (ways[i].method != METHOD_SCORE)
			continue;
		coded = encode(data, metric, &ways[i]);
		print_times(data, &coded);
		forget(&coded);
	}
	free(truth);
}

static QvMetric
metric_named(const char *name)
{
	if (strcmp(name, "cosine") == 0)
		return QV_METRIC_COSINE;
	if (strcmp(name, "l2") == 0)
		return QV_METRIC_L2;
	if (strcmp(name, "ip") == 0)
		return QV_METRIC_IP;
	fprintf(stderr, "unknown metric \"%s\": must be cosine, l2 or ip\n", name);
	exit(1);
}

int
main(int argc, char **argv)
{
	Data		data;
	int			nqueries = argc > 2 ? atoi(argv[2]) : 500;

	if (argc < 2 || argc > 4 || nqueries < 1)
	{
		fprintf(stderr, "usage: measure FILE.fbin [NQUERIES [cosine|l2|ip]]\n");
		return 1;
	}
	data = load(argv[1], (uint32_t) nqueries);
	printf("%u rows and %u queries of %u dimensions\n\n", data.n, data.nqueries, data.ndims);
	print_tables(&data, metric_named(argc > 3 ? argv[3] : "cosine"));
	free(data.rows);
	return 0;
}
