/*
 * training.h
 *		Centres that codes are measured from: learned from rows, and only as many as pay.
 *
 * Floor 1: knows rows of floats.  Must not know where they come from, nor how codes use centres.
 * See TRAINING.md.
 */
#ifndef QV_TRAINING_H
#define QV_TRAINING_H

#include <stddef.h>
#include <stdint.h>

/* Rows to learn from, and what the work needs. */
typedef struct QvTraining
{
	const float *rows;			/* nrows x ndims, finite; under cosine of unit length */
	uint32_t	nrows;
	uint32_t	ndims;
	uint64_t	seed;			/* the same rows and seed give the same centres */
	void	   *scratch;		/* qv_train_scratch_nbytes(), aligned for doubles */
	void		(*interrupt) (void *arg);	/* called often, may not return; NULL = never */
	void	   *arg;
} QvTraining;

/* Memory for training at most k centres. */
extern size_t qv_train_scratch_nbytes(uint32_t nrows, uint32_t ndims, uint32_t k);

/* The most centres that qv_train_many() makes; the rest of QV_MAX_CENTRES is left to be added later. */
#define QV_TRAIN_MANY_MAX	192

/*
 * Centres for rows that are as yet measured from one, the centroid (ndims floats).  Learns several numbers of them, at most max,
 * and judges each by rows that it did not learn from: more are taken only if they bring rows enough nearer.  Returns how many were
 * put into centres, which has room for max; 0 where none pays.  norm2 becomes the squared distances of the rows to what they are
 * nearest to.  Scratch for max.
 */
extern uint32_t qv_train_many(const QvTraining *training, const float *centroid, uint32_t max, float *centres, float *norm2);

/*
 * The same for rows of an index that has centres: norm2 has each one's squared distance to the centre it has, and gets those with the new
 * centres.
 */
extern uint32_t qv_train_more(const QvTraining *training, float *norm2, uint32_t max, float *centres);

/* Clusters that qv_train_few() looks for at once, at most, and all centres that it makes. */
#define QV_TRAIN_FEW_LARGEST	32
#define QV_TRAIN_FEW_MAX	(1 + 8 + QV_TRAIN_FEW_LARGEST)

/*
 * Centres for rows that lie badly: norm2 has each one's squared distance to the centre it has.  One cluster of the rows, and then
 * more of them, as far as there are rows enough, are learned from half of the rows and judged by the others.  Returns how many were
 * put into centres, which has room for max; 0 where none pays.  norm2 becomes the distances with those.  Scratch for
 * QV_TRAIN_FEW_LARGEST.
 */
extern uint32_t qv_train_few(const QvTraining *training, float *norm2, uint32_t max, float *centres);

#endif							/* QV_TRAINING_H */
