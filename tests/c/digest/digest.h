/* What the digests are made of. */
#ifndef DIGEST_H
#define DIGEST_H

#include <lrcore.h>

/* Each prints its lines. */
void print_rules(void);
void print_storage(void);
void print_codecs(void);
void print_schedules(void);
void print_math(void);

/* --------------------------------------------------------------------------- tools.c */

enum { THREADS = 2 };

extern const int threads[THREADS];

void fail(const char *what, const char *name);
void *allocate(size_t size);

uint64_t digest_word(uint64_t digest, uint64_t word);
uint64_t digest_f64(uint64_t digest, double x);
/* LRC_REAL stands for no number: 16 bits as they are. */
uint64_t digest_array(uint64_t digest, int dtype, int64_t n, const void *x);

enum { WILD = 18 };

extern const double wild_f64[WILD];

/* splitmix64 */
uint64_t draw(uint64_t *seed);
/* A number in [-8, 8) that float holds. */
double tame(uint64_t *seed);
void put(void *x, int dtype, int64_t i, int wild, uint64_t *seed);
size_t size_of(int dtype);

typedef struct {
    const char *name;
    double value;
    int optional; /* of hyper-parameters: also tried with 0 */
} named;

const named *look_up(const named *table, const char *name, size_t length);
/* The i-th name of a list separated by ", "; NULL past its end. */
const char *name_at(const char *names, int i, size_t *length);
/* The place of a name in a list; -1: it is not there. */
int find(const char *names, const char *name, size_t length);
int position(const char *names, const char *name, size_t length);

/* ---------------------------------------------------------------------------- runs.c */

enum { GROUPS = 2, MOST_TENSORS = 16 /* of a plan */ };

/* What surrounds the rule. */
typedef struct {
    const char *name;
    double clip_norm, clip_value;
    int maximize, scheduled, wild;
    enum { SAME, OTHER, HALF } gradient;
    int backwards; /* the gradient lies in memory from its last element to its first, with gaps */
    int named;     /* the gradient is of some rows, several of them the same */
} surroundings;

typedef struct storage {
    const char *name;
    int dtype, master_kind;
} storage;

/* One run: a rule under hyper-parameters, and what `run` needs besides. */
typedef struct {
    int rule, dtype;
    const double *h;
    const char *name; /* for messages */
    const surroundings *around;
    const struct storage *storage;
    int state_dtype, rounding;
} job;

typedef uint64_t runner(const job *j);

/* What a rule keeps: its arrays, those that start at the parameter or are of rows, and what all else
 * starts at. */
typedef struct {
    int there[LRC_MAX_STATES], follows[LRC_MAX_STATES], of_rows[LRC_MAX_STATES];
    int factored, factor[LRC_MAX_STATES]; /* there are factors; those are */
    double state[LRC_MAX_STATES], scalar[LRC_MAX_SCALARS];
} beginnings;

beginnings beginnings_of(int rule, const double *h);
void *new_array(int dtype, int64_t n, double value);
/* Fills `memory` and points the tensor at it. */
void new_gradient(lrc_tensor *x, const surroundings *s, void *memory, int wild, uint64_t *seed);
/* Elements of a row: a few, or as many as make three rows. */
int64_t row_of(int64_t n);
/* To a rule that keeps factors, some tensors are one or more matrices. */
void shape(lrc_tensor *x, const beginnings *b);
/* Whether a tensor has a state: a factor, what stands in its place, or any other. */
int has_state(const lrc_tensor *x, const beginnings *b, int k);
uint64_t digest_scalars(uint64_t digest, const lrc_plan *plan);
/* Every second tensor is a matrix to a rule that knows matrices, whose products are left out. */
void *work_of(int rule, int i, int64_t n);
/* One run on each instruction set with each number of threads; they must agree. */
uint64_t run_everywhere(runner *make, const job *j);
/* Hyper-parameters by name: those that are optional are 0. Returns how many are. */
int fill_hypers(int rule, double *h, int *optional);
void choose_hyper(int rule, double *h, int i, int on);

#endif
