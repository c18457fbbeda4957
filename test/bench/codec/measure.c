/*
 * measure.c
 *		What the codes of a file of embeddings find, and what they cost.
 *
 * measure FILE.fbin [NQUERIES [METRIC]]: uint32 n, uint32 ndims, then n * ndims
 * little-endian floats.  Rows are shuffled with a fixed seed, the last NQUERIES
 * (500) are the queries; METRIC is cosine (default), l2 or ip.  Prints the share of the
 * true ten among the best c by each way to compare codes, then times.  Built
 * and run by "run" beside it; results in src/codec/README.md.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/codec.h"
#include "kernel/kernel.h"

#define K			10
#define NCUTS		5
#define MAX_CUT		80
#define SEED		UINT64_C(1)
#define NREPEATS	5			/* timings: the best of as many */

static const int cuts[NCUTS] = {10, 20, 30, 40, MAX_CUT};

typedef enum Way
{
	WAY_SIGN,
	WAY_CODE_HAMMING,
	WAY_PAIR,
	WAY_RABITQ,
	NWAYS
} Way;

static const char *const way_names[NWAYS] = {
	"sign, Hamming",
	"centred + rotated sign, Hamming",
	"code against code (pair)",
	"RaBitQ 1 bit, 4-bit query"
};

typedef struct Data
{
	uint32_t	n;				/* base rows */
	uint32_t	nqueries;
	uint32_t	ndims;
	float	   *rows;			/* base rows, then queries */
} Data;

/* Everything that is kept of the base rows. */
typedef struct Coded
{
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

static Coded
encode(const Data *data, QvMetric metric)
{
	float		max_norm;
	float	   *centroid = centroid_of(data, metric, &max_norm);
	QvCodecParams params = {
		.kind = QV_CODE_RABITQ, .metric = metric, .ndims = data->ndims, .nbits = 1, .seed = SEED,
		.max_norm = metric == QV_METRIC_IP ? max_norm : 0.0f, .centroid = centroid
	};
	Coded		coded = {.metric = metric};
	uint64_t	state = SEED;

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
		coded.shuffled[i] = coded.slots + coded.slot_nbytes * (next_random(&state) % data->n);
	}
	free(centroid);
	return coded;
}

/* Distances of every base row to one query, in one way. */
static void
distances(const Data *data, const Coded *coded, Way way, const float *query, float *dist)
{
	uint8_t		own[QV_RABITQ_MAX_NDIMS / 8 + 64];
	uint32_t   *count = get_memory(sizeof(uint32_t) * data->n);

	switch (way)
	{
		case WAY_SIGN:
			qv_kernels()->signs_f32(query, data->ndims, own);
			qv_kernels()->hamming_strided(own, coded->signs, coded->sign_nbytes, (int) data->n, coded->sign_nbytes, count);
			break;
		case WAY_CODE_HAMMING:
			qv_codec_encode(coded->codec, query, own, coded->scratch);
			qv_kernels()->hamming_strided(own, coded->slots, coded->slot_nbytes, (int) data->n, coded->code_nbytes, count);
			break;
		case WAY_PAIR:
			qv_codec_encode(coded->codec, query, own, coded->scratch);
			qv_codec_pair_strided(coded->codec, own, coded->slots, coded->slot_nbytes, (int) data->n, dist);
			break;
		default:
			qv_query_init(coded->query, coded->codec, query, coded->scratch);
			qv_query_score_strided(coded->query, coded->slots, coded->slot_nbytes, (int) data->n, dist);
			break;
	}
	for (uint32_t i = 0; (way == WAY_SIGN || way == WAY_CODE_HAMMING) && i < data->n; i++)
		dist[i] = (float) count[i];
	free(count);
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

static void
print_recall(const Data *data, const Coded *coded)
{
	double		found[NWAYS][NCUTS] = {{0}};
	float	   *dist = get_memory(sizeof(float) * data->n);

	for (uint32_t q = 0; q < data->nqueries; q++)
	{
		const float *query = row(data, data->n + q);
		uint32_t	truth[K];
		uint32_t	best[MAX_CUT];

		for (uint32_t i = 0; i < data->n; i++)
			dist[i] = (float) exact_distance(coded->metric, row(data, i), query, data->ndims);
		nearest(dist, data->n, K, truth);
		for (int way = 0; way < NWAYS; way++)
		{
			distances(data, coded, (Way) way, query, dist);
			nearest(dist, data->n, MAX_CUT, best);
			for (int cut = 0; cut < NCUTS; cut++)
			{
				for (int i = 0; i < K; i++)
				{
					for (int j = 0; j < cuts[cut]; j++)
						found[way][cut] += truth[i] == best[j];
				}
			}
		}
	}
	printf("| code | c=10 | 20 | 30 | 40 | 80 |\n|---|---|---|---|---|---|\n");
	for (int way = 0; way < NWAYS; way++)
	{
		/* under inner product pairs estimate the augmented distance, which is no answer to a query */
		if (way == WAY_PAIR && coded->metric == QV_METRIC_IP)
			continue;
		printf("| %s |", way_names[way]);
		for (int cut = 0; cut < NCUTS; cut++)
			printf(" %.3f |", found[way][cut] / (K * (double) data->nqueries));
		printf("\n");
	}
	free(dist);
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
	uint8_t		slot[QV_RABITQ_MAX_NDIMS / 8 + 64];
	double		best = INFINITY;

	qv_query_init(coded->query, coded->codec, row(data, data->n), coded->scratch);
	for (int repeat = 0; repeat < NREPEATS; repeat++)
	{
		uint32_t	n = data->n < 20000 ? data->n : 20000;
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

	printf("\n| ns |");
	for (int work = 0; work < NWORKS; work++)
		printf(" %s |", work_names[work]);
	printf("\n|---|---|---|---|---|---|\n");
	for (int i = 0; (level = qv_kernels_level(i, &usable)) != NULL; i++)
	{
		if (!usable || !qv_kernels_force(level->name))
			continue;
		printf("| %s |", level->name);
		for (int work = 0; work < NWORKS; work++)
		{
			double		ns = time_of(data, coded, (Work) work);

			printf(" %.*f |", ns < 100 ? 1 : 0, ns);
		}
		printf("\n");
	}
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
	Coded		coded;
	int			nqueries = argc > 2 ? atoi(argv[2]) : 500;

	if (argc < 2 || argc > 4 || nqueries < 1)
	{
		fprintf(stderr, "usage: measure FILE.fbin [NQUERIES [cosine|l2|ip]]\n");
		return 1;
	}
	data = load(argv[1], (uint32_t) nqueries);
	coded = encode(&data, metric_named(argc > 3 ? argv[3] : "cosine"));
	printf("%u rows and %u queries of %u dimensions, %zu bytes a slot\n\n", data.n, data.nqueries, data.ndims, coded.slot_nbytes);
	print_recall(&data, &coded);
	print_times(&data, &coded);
	return 0;
}
