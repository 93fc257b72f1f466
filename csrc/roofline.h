#ifndef LRC_ROOFLINE_H
#define LRC_ROOFLINE_H

#include "storage.h"

/* The memory traffic of a chunk of a sweep of some kind, with additions only. What is only read is,
 * by the check for finiteness. Finite numbers keep their values, zeros may change their sign. */
void NAME(roofline)(const lrc_tensor *x, lrc_chunk k, const lrc_constants *c, int kind);

#endif
