/*
 * order.h
 *		Sortable 64-bit keys of (distance, node), and the mixing they need.
 *
 * Internal to the graph room.  Sign codes give many equal distances; a list
 * that broke ties by node id would make the same low ids everybody's
 * neighbour.  Here ties are broken by a hash that differs from owner to owner
 * yet is the same on every run, and from which the id can be had back.
 * README.md, "Ties".
 */
#ifndef QH_ORDER_H
#define QH_ORDER_H

#include <stdint.h>
#include <string.h>

#include "graph/graph.h"

/* 2^32 divided by the golden ratio, odd, and its inverse modulo 2^32 */
#define QH_SPREAD			UINT32_C(0x9E3779B1)
#define QH_SPREAD_INVERSE	UINT32_C(0x0E8B2F51)
/* a second odd multiplier (the low half of splitmix64's last) and its inverse */
#define QH_STIR				UINT32_C(0x133111EB)
#define QH_STIR_INVERSE		UINT32_C(0xD24D8EC3)

#define QH_KEY_NONE			UINT64_MAX

/* The finalizer of splitmix64 (Steele, Lea and Flood 2014). */
static inline uint64_t
qh_mix64(uint64_t x)
{
	x += UINT64_C(0x9E3779B97F4A7C15);
	x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
	return x ^ (x >> 31);
}

/* Next value of a generator whose whole state is one word. */
static inline uint64_t
qh_random(uint64_t *state)
{
	*state += UINT64_C(0x9E3779B97F4A7C15);
	return qh_mix64(*state);
}

/* A number below n, n > 0. */
static inline uint32_t
qh_random_below(uint64_t *state, uint32_t n)
{
	return (uint32_t) (((qh_random(state) >> 32) * (uint64_t) n) >> 32);
}

/* An integer that orders as the float does, negative ones too. */
static inline uint32_t
qh_float_to_order(float dist)
{
	uint32_t	bits;

	memcpy(&bits, &dist, sizeof(bits));
	return (bits & UINT32_C(0x80000000)) ? ~bits : bits | UINT32_C(0x80000000);
}

static inline float
qh_order_to_float(uint32_t order)
{
	uint32_t	bits = (order & UINT32_C(0x80000000)) ? order & UINT32_C(0x7FFFFFFF) : ~order;
	float		dist;

	memcpy(&dist, &bits, sizeof(dist));
	return dist;
}

/* What the keys of one owner's list are salted with. */
static inline uint32_t
qh_key_salt(uint64_t owner)
{
	return (uint32_t) qh_mix64(owner);
}

/* One to one in node, and in a different order for each salt. */
static inline uint32_t
qh_key_low(QhNode node, uint32_t salt)
{
	uint32_t	x = (node ^ salt) * QH_SPREAD;

	return (x ^ (x >> 16)) * QH_STIR;
}

static inline uint64_t
qh_key(float dist, QhNode node, uint32_t salt)
{
	return ((uint64_t) qh_float_to_order(dist) << 32) | qh_key_low(node, salt);
}

static inline QhNode
qh_key_node(uint64_t key, uint32_t salt)
{
	uint32_t	x = (uint32_t) key * QH_STIR_INVERSE;

	return ((x ^ (x >> 16)) * QH_SPREAD_INVERSE) ^ salt;
}

static inline float
qh_key_dist(uint64_t key)
{
	return qh_order_to_float((uint32_t) (key >> 32));
}

/* Sort ascending. */
extern void qh_keys_sort(uint64_t *keys, uint32_t n);
/* Sort distinct keys into out, which is elsewhere. */
extern void qh_keys_sort_into(const uint64_t *keys, uint32_t n, uint64_t *out);
/* Reorder so that the k smallest come first; k <= n. */
extern void qh_keys_partition(uint64_t *keys, uint32_t n, uint32_t k);

#endif							/* QH_ORDER_H */
