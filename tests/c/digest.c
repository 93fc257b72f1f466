/* Prints a line for each rule and dtype, each rule and way of storing parameters, each codec, each
 * schedule and each function of math.c: a digest of the bits they return for fixed inputs.
 * tests/digests.txt holds what every platform must print.
 *
 * Rules and schedules come from lrc_rules[] and lrc_schedules[], so that a new one has its line
 * without a word here; hyper-parameters and arguments get their values by name. Everything is run
 * with each instruction set of this machine, by one thread and by three; where two of them differ
 * the program names them and exits with 1. */
#include <lrcore.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 4, GROUPS = 2 };

/* Around vector registers, the lanes of a sum (32), blocks (1024) and chunks (8192). */
static const int64_t sizes[] = {1,    7,    0,    15,   33, 64,    1000, 1023,
                                1025, 8191, 8192, 8193, 3,  16389, 31,   100};

enum { TENSORS = sizeof sizes / sizeof *sizes };

static const int threads[] = {1, 3};

enum { THREADS = sizeof threads / sizeof *threads };

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "digest: %s: %s\n", name, what);
    exit(1);
}

static void *allocate(size_t size)
{
    void *p = calloc(1, size + 1);
    if (!p)
        fail("there is no memory", "allocate");
    return p;
}

/* ---------------------------------------------------------------------------- digests */

static uint64_t digest_word(uint64_t digest, uint64_t word)
{
    digest = (digest ^ word) * 0x9e3779b97f4a7c15u;
    return digest ^ digest >> 32;
}

static uint64_t digest_f64(uint64_t digest, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return digest_word(digest, x != x ? 0x7ff8000000000000u : bits); /* a NaN is a NaN */
}

static uint64_t digest_f32(uint64_t digest, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return digest_word(digest, x != x ? 0x7fc00000u : bits);
}

static uint64_t digest_half(uint64_t digest, uint16_t bits, uint16_t inf)
{
    int nan = (bits & 0x7fff) > inf;
    return digest_word(digest, nan ? inf | 1u : bits);
}

/* LRC_REAL stands for no number: 16 bits as they are. */
static uint64_t digest_array(uint64_t digest, int dtype, int64_t n, const void *x)
{
    for (int64_t i = 0; i < n; i++)
        switch (dtype) {
        case LRC_F32:
            digest = digest_f32(digest, ((const float *)x)[i]);
            break;
        case LRC_F64:
            digest = digest_f64(digest, ((const double *)x)[i]);
            break;
        case LRC_F16:
            digest = digest_half(digest, ((const uint16_t *)x)[i], 0x7c00);
            break;
        case LRC_BF16:
            digest = digest_half(digest, ((const uint16_t *)x)[i], 0x7f80);
            break;
        case LRC_Q8:
            digest = digest_word(digest, ((const uint8_t *)x)[i]);
            break;
        default:
            digest = digest_word(digest, ((const uint16_t *)x)[i]);
        }
    return digest;
}

/* ----------------------------------------------------------------------------- inputs */

/* splitmix64 */
static uint64_t draw(uint64_t *seed)
{
    uint64_t x = *seed += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A number in [-8, 8) that float holds. */
static double tame(uint64_t *seed) { return ((double)(draw(seed) >> 40) - 0x1p23) * 0x1p-20; }

/* clang-format off */
static const float wild_f32[] = {
    0.0f, 0x1p-149f, 0x1.fffffcp-127f, 0x1p-126f, 0x1.8p-100f, 0x1.4p-23f,
    -0.0f, -0x1p-149f, -0x1.8p-130f, -0x1p-126f, -0x1.2p-64f, 0x1p63f,
    0x1.fffffep127f, -0x1.fffffep127f, -0x1.8p64f, INFINITY, -INFINITY, NAN};

static const double wild_f64[] = {
    0.0, 0x1p-1074, 0x1.ffffffffffffep-1023, 0x1p-1022, 0x1.8p-800, 0x1.4p-52,
    -0.0, -0x1p-1074, -0x1.8p-1030, -0x1p-1022, -0x1.2p-512, 0x1p511,
    0x1.fffffffffffffp1023, -0x1.fffffffffffffp1023, -0x1.8p512, INFINITY, -INFINITY, NAN};
/* clang-format on */

enum { WILD = sizeof wild_f32 / sizeof *wild_f32 };

static void put(void *x, int dtype, int64_t i, int wild, uint64_t *seed)
{
    uint64_t choice = draw(seed);
    double plain = tame(seed);
    int special = wild && choice & 1;
    if (dtype == LRC_F32)
        ((float *)x)[i] = special ? wild_f32[(choice >> 8) % WILD] : (float)plain;
    else if (dtype == LRC_F64)
        ((double *)x)[i] = special ? wild_f64[(choice >> 8) % WILD] : plain;
    else if (special)
        ((uint16_t *)x)[i] = (uint16_t)(choice >> 8);
    else if (dtype == LRC_F16) /* sign, an exponent of 2^-8 to 2^7, any significand */
        ((uint16_t *)x)[i] = (uint16_t)((choice & 0x83ff) | (7 + (choice >> 20) % 16) << 10);
    else
        ((uint16_t *)x)[i] = (uint16_t)((choice & 0x807f) | (119 + (choice >> 20) % 16) << 7);
}

static size_t size_of(int dtype)
{
    return dtype == LRC_F64 ? 8 : dtype == LRC_F32 ? 4 : dtype == LRC_Q8 ? 1 : 2;
}

/* ------------------------------------------------------------- tables of names and values */

typedef struct {
    const char *name;
    double value;
    int optional; /* of hyper-parameters: also tried with 0 */
} named;

/* A hyper-parameter that is not here is 0.5, and optional. */
static const named hypers[] = {{"lr", 0.1, 0},
                               {"beta1", 0.9, 0},
                               {"beta2", 0.98, 0},
                               {"eps", 1e-6, 0},
                               {"eps1", 1e-6, 0},
                               {"eps2", 1e-3, 0},
                               {"beta2_decay", -0.8, 0},
                               {"d", 1.25, 0},
                               {"alpha", 0.95, 0},
                               {"momentum", 0.9, 1},
                               {"dampening", 0.25, 1},
                               {"weight_decay", 0.02, 1},
                               {"nesterov", 1, 1},
                               {"amsgrad", 1, 1},
                               {"centered", 1, 1},
                               {"lr_decay", 0.01, 1},
                               {"initial_accumulator_value", 0.3, 1},
                               {"beta3", 0.97, 0},
                               {"decouple", 1, 1},
                               {"use_bias_correction", 1, 1},
                               {"safeguard_warmup", 1, 1},
                               {"d0", 1e-3, 0},
                               {"d_coef", 2, 0},
                               {"growth_rate", 1.5, 0},
                               {"reps_rel", 1e-3, 0},
                               {"init_eta", 0.01, 0},
                               {"init_estim_sq_dist", 1e-3, 0},
                               {"trust_coefficient", 0.01, 0},
                               {"trust_clip", 1, 1},
                               {"always_adapt", 1, 1},
                               {"grad_averaging", 1, 1},
                               {"max_lr", 0.1, 0},
                               {"c", 0.4, 0},
                               {"f_star", -0.5, 0},
                               {"hyper_lr", 0.01, 0},
                               {"floor", 0.02, 1},
                               {"multiplicative", 1, 1},
                               {"warmup_steps", 3, 1},
                               {"r", 1.5, 1},
                               {"weight_lr_power", 2, 0},
                               {"nu1", 0.7, 0},
                               {"nu2", 0.9, 0},
                               {"final_lr", 0.05, 0},
                               {"gamma", 0.01, 0},
                               {"clip_exp", 0.25, 0},
                               {"beta3_warmup", 40, 0},
                               {"alpha_warmup", 30, 0},
                               {"amsbound", 1, 1},
                               {"decoupled_weight_decay", 1, 1},
                               {"rectify", 1, 1},
                               {"no_prox", 1, 1},
                               {"rho", 0.9, 0},
                               {"momentum_decay", 0.004, 1},
                               {"eta1", 0.5, 0},
                               {"eta2", 1.2, 0},
                               {"step_size1", 1e-3, 0},
                               {"step_size2", 0.25, 0},
                               {"lambd", 0.01, 1},
                               {"t0", 1, 1},
                               {"lr_power", -0.5, 0},
                               {"l1", 0.05, 1},
                               {"l2", 0.1, 1},
                               {"l2_shrinkage", 0.1, 1},
                               {"beta", 1, 1},
                               {"ns_coefficient1", 3.4445, 0},
                               {"ns_coefficient2", -4.775, 0},
                               {"ns_coefficient3", 2.0315, 0},
                               {"ns_steps", 5, 0},
                               {"adjust_lr_fn", 0, 0},
                               {"adamw", 0, 0},
                               {"adamw_lr", 0.05, 0},
                               {"adamw_beta1", 0.9, 0},
                               {"adamw_beta2", 0.98, 0},
                               {"adamw_eps", 1e-6, 0},
                               {"adamw_weight_decay", 0.03, 0},
                               {"update_freq", 2, 0},
                               {"max_precond_dim", 0, 0},
                               {"shampoo_beta", 0.9, 0},
                               {"precondition_frequency", 2, 0},
                               {"normalize_grads", 0, 0},
                               {"correct_bias", 1, 0},
                               {NULL, 0.5, 1}};

/* An argument of a schedule that is not here is 0.5. */
static const named arguments[] = {{"lr", 0.1, 0},
                                  {"steps", 6000, 0},
                                  {"end", 0.003, 0},
                                  {"step_size", 70, 0},
                                  {"gamma", 0.97, 0},
                                  {"decay", 0.001, 0},
                                  {"rate", 0.3, 0},
                                  {"power", 1.7, 0},
                                  {"factor", 0.3, 0},
                                  {"timescale", 300, 0},
                                  {"d_model", 512, 0},
                                  {"warmup_steps", 400, 0},
                                  {"scale", 4.6, 0},
                                  {"per_update", 32, 0},
                                  {"exponent", 1.3, 0},
                                  {"k_decay", 1.1, 0},
                                  {"cycle", 1, 0},
                                  {"lb", -7, 0},
                                  {"ub", 3, 0},
                                  {"upper_bound", 9000, 0},
                                  {"infimum", 1e-5, 0},
                                  {"decay_steps", 1500, 0},
                                  {"shape", 2, 0},
                                  {"knee", 4000, 0},
                                  {"pct_start", 0.3, 0},
                                  {"div_factor", 25, 0},
                                  {"final_div_factor", 1e4, 0},
                                  {"phases", 3, 0},
                                  {"max_lr", 0.7, 0},
                                  {"up", 90, 0},
                                  {"down", 300, 0},
                                  {"mode", 2, 0},
                                  {"period", 110, 0},
                                  {"mult", 1.5, 0},
                                  {"order", 0, 0},
                                  {"low", 0.01, 0},
                                  {"high", 0.09, 0},
                                  {"by", 333, 0},
                                  {"updates", 7, 0},
                                  {"start", 0.2, 0},
                                  {"length", 2500.5, 0},
                                  {"begin", 12.25, 0},
                                  {"min_lr", 0.002, 0},
                                  {NULL, 0.5, 0}};

static const named *look_up(const named *table, const char *name, size_t length)
{
    while (table->name && (strlen(table->name) != length || strncmp(table->name, name, length)))
        table++;
    return table;
}

/* The i-th name of a list separated by ", "; NULL past its end. */
static const char *name_at(const char *names, int i, size_t *length)
{
    while (i-- && *names) {
        names += strcspn(names, ",");
        names += strspn(names, ", ");
    }
    *length = strcspn(names, ",");
    return *names ? names : NULL;
}

/* The place of a name in a list; -1: it is not there. */
static int find(const char *names, const char *name, size_t length)
{
    size_t n;
    const char *at;
    for (int i = 0; (at = name_at(names, i, &n)); i++)
        if (n == length && strncmp(at, name, n) == 0)
            return i;
    return -1;
}

static int position(const char *names, const char *name, size_t length)
{
    int i = find(names, name, length);
    if (i < 0)
        fail("a note of the table names what is not there", name);
    return i;
}

/* ------------------------------------------------------------------------------ rules */

/* What surrounds the rule. */
typedef struct {
    const char *name;
    double clip_norm, clip_value;
    int maximize, scheduled, wild;
    enum { SAME, OTHER, HALF } gradient;
    int backwards; /* the gradient lies in memory from its last element to its first, with gaps */
    int named;     /* the gradient is of some rows, several of them the same */
} surroundings;

static const surroundings around[] = {
    {"plain", 0, 0, 0, 0, 0, SAME, 0, 0},
    {"wild", 0, 0, 0, 0, 1, SAME, 0, 0},
    {"clip_norm", 3.0, 0, 0, 0, 0, SAME, 0, 0},
    {"maximize, clip_value", 0, 0.75, 1, 0, 1, SAME, 0, 0},
    {"clip_norm, clip_value, maximize, a schedule", 700.0, 0.75, 1, 1, 0, OTHER, 0, 0},
    {"half", 0, 0, 0, 1, 1, HALF, 0, 0},
    {"strides", 5.0, 0, 0, 0, 0, SAME, 1, 0},
};

enum { AROUND = sizeof around / sizeof *around };

static const surroundings some_rows = {"some rows", 30.0, 0.75, 1, 0, 0, HALF, 0, 1};

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

static void read_note(const lrc_rule_info *row, const double *h, const char *note, beginnings *b)
{
    size_t length = strcspn(note, " "), left = strcspn(note, ":=+!/#~-|* ");
    if (length == 4 && strncmp(note, "rows", 4) == 0)
        return; /* of the rule */
    int state = find(row->states, note, left), scalar = find(row->scalars, note, left);
    const char *hyper = note + left + 1;
    if (state < 0 && scalar < 0)
        fail("a note of the table names what is not there", note);
    if (note[left] == '=' && length == left + 2 && *hyper == 'p') {
        b->follows[state] = 1;
    } else if (note[left] == '-' || note[left] == '|') {
        b->factored = b->factor[state] = 1;
    } else if (note[left] == '/') {
        b->of_rows[state] = 1;
    } else if (note[left] == ':' || note[left] == '=') {
        double value = h[position(row->hypers, hyper, length - left - 1)];
        if (note[left] == ':')
            b->there[state] = b->there[state] && value != 0;
        else if (state >= 0)
            b->state[state] = value;
        else
            b->scalar[scalar] = value;
    }
}

static beginnings beginnings_of(int rule, const double *h)
{
    const lrc_rule_info *row = &lrc_rules[rule];
    beginnings b = {0};
    size_t n;
    for (int i = 0; i < LRC_MAX_STATES; i++)
        b.there[i] = name_at(row->states, i, &n) != NULL;
    for (const char *note = row->notes; *note; note += strspn(note, " ")) {
        read_note(row, h, note, &b);
        note += strcspn(note, " ");
    }
    return b;
}

static void *new_array(int dtype, int64_t n, double value)
{
    void *x = allocate((size_t)n * size_of(dtype));
    for (int64_t i = 0; i < n; i++)
        if (dtype == LRC_F32)
            ((float *)x)[i] = (float)value;
        else
            ((double *)x)[i] = value;
    return x;
}

/* Fills `memory` and points the tensor at it. */
static void new_gradient(lrc_tensor *x, const surroundings *s, void *memory, int wild,
                         uint64_t *seed)
{
    static int64_t shape[TENSORS], stride[TENSORS];
    static size_t next;
    int64_t gap = s->backwards ? 3 : 1, width = (int64_t)size_of(x->g_dtype);
    for (int64_t i = 0; i < x->n * gap; i++)
        put(memory, x->g_dtype, i, wild, seed);
    x->g = memory;
    x->g_ndim = 0;
    if (s->backwards && x->n) {
        int64_t *n = &shape[next % TENSORS], *step = &stride[next++ % TENSORS];
        *n = x->n;
        *step = -gap * width;
        x->g = (char *)memory + (x->n - 1) * gap * width;
        x->g_ndim = 1;
        x->g_shape = n;
        x->g_stride = step;
    }
}

/* Elements of a row: a few, or as many as make three rows. */
static int64_t row_of(int64_t n) { return n == 0 ? 0 : n % 5 == 0 ? 5 : n % 3 == 0 ? n / 3 : 1; }

/* To a rule that keeps factors, some tensors are one or more matrices. */
static void shape(lrc_tensor *x, const beginnings *b)
{
    int64_t n = b->factored ? x->n : 0;
    x->height = n % 5 == 0 ? n / 5 : n % 3 == 0 ? 3 : n % 16 == 0 ? 4 : n > 8192 ? 1 : 0;
    x->width = n % 5 == 0 ? 5 : n % 3 == 0 ? n / 3 : n % 16 == 0 ? 2 : x->height ? n : 0;
}

/* Whether a tensor has a state: a factor, what stands in its place, or any other. */
static int has_state(const lrc_tensor *x, const beginnings *b, int k)
{
    return b->there[k] && (!b->factored || b->factor[k] == (x->height != 0));
}

static void name_some_rows(lrc_tensor *x, int64_t *numbers, uint64_t *seed)
{
    int64_t height = x->n ? x->n / x->row : 0;
    for (int64_t i = 0; i < height; i++)
        numbers[i] = (int64_t)(draw(seed) % (uint64_t)height);
    lrc_name_rows(x, height, height, numbers, numbers + height);
}

static uint64_t digest_scalars(uint64_t digest, const lrc_plan *plan)
{
    int scope = lrc_rules[plan->rule].scope;
    int own = scope == LRC_TENSOR || scope == LRC_FACTORED;
    for (int64_t i = 0; own && i < plan->n_tensors; i++)
        digest = digest_array(digest, LRC_F64, LRC_MAX_SCALARS, plan->tensors[i].scalar);
    for (int64_t k = 0; scope == LRC_GROUP && k < plan->n_groups; k++)
        digest = digest_array(digest, LRC_F64, LRC_MAX_SCALARS, plan->groups[k].scalar);
    return digest;
}

/* Every second tensor is a matrix to a rule that knows matrices, whose products are left out. */
static void *work_of(int rule, int i, int64_t n)
{
    int is_matrix = lrc_rules[rule].scope == LRC_MATRIX && i % 2;
    return is_matrix ? allocate((size_t)n * sizeof(double)) : NULL;
}

static uint64_t run_rule(const job *run)
{
    const surroundings *s = run->around;
    const double *h = run->h;
    uint64_t seed = 1, digest = 0;
    int rule = run->rule, dtype = run->dtype, g_dtype = s->gradient == HALF ? LRC_F16 : dtype;
    const beginnings b = beginnings_of(rule, h);
    void *memory[TENSORS];
    int64_t *numbers[TENSORS];
    lrc_tensor x[TENSORS] = {0};
    lrc_group g[GROUPS] = {0};
    lrc_schedule lr = {
        .kind = LRC_COSINE, .arg = {0.1, 6, 0.01}, .warmup = 2, .warmup_start = 0.01};

    if (s->gradient == OTHER)
        g_dtype = dtype == LRC_F32 ? LRC_F64 : LRC_F32;
    for (int i = 0; i < TENSORS; i++) {
        int64_t n = sizes[i];
        x[i] = (lrc_tensor){.p = allocate((size_t)n * size_of(dtype)),
                            .n = n,
                            .dtype = dtype,
                            .group = i % GROUPS,
                            .row = row_of(n),
                            .g_dtype = g_dtype};
        for (int64_t e = 0; e < n; e++)
            put(x[i].p, dtype, e, s->wild && i % 4 == 3, &seed);
        shape(&x[i], &b);
        for (int j = 0; j < LRC_MAX_STATES; j++) {
            x[i].state[j] = has_state(&x[i], &b, j) ? new_array(dtype, n, b.state[j]) : NULL;
            if (b.there[j] && b.follows[j])
                memcpy(x[i].state[j], x[i].p, (size_t)n * size_of(dtype));
        }
        memcpy(x[i].scalar, b.scalar, sizeof b.scalar);
        x[i].work = work_of(rule, i, n);
        memory[i] = allocate((size_t)n * 3 * sizeof(double));
        numbers[i] = allocate((size_t)n * 5 * sizeof(int64_t));
    }
    for (int k = 0; k < GROUPS; k++) {
        memcpy(g[k].h, h, sizeof g[k].h);
        memcpy(g[k].scalar, b.scalar, sizeof b.scalar);
        g[k].clip_value = s->clip_value;
        g[k].maximize = s->maximize;
    }
    g[1].h[0] *= 0.25; /* the rate */
    if (s->scheduled)
        g[0].schedule[0] = &lr;

    lrc_plan *plan = lrc_plan_new(rule, TENSORS, x, GROUPS, g);
    if (!plan)
        fail("there is no memory", "lrc_plan_new");
    plan->clip_norm = s->clip_norm;
    plan->nonfinite = s->wild ? LRC_IGNORE : LRC_RAISE;
    for (int t = 0; t < STEPS; t++) {
        for (int i = 0; i < TENSORS; i++) {
            new_gradient(&x[i], s, memory[i], s->wild && i % 2 == 1, &seed);
            if (s->named && (i + t) % 4)
                name_some_rows(&x[i], numbers[i], &seed);
            else
                x[i].rows = NULL;
        }
        if (t == 1)
            x[4].g = x[9].g = NULL; /* left alone at this step, and younger from then on */
        plan->loss = 1.5 - t;
        digest = digest_word(digest, (uint64_t)lrc_step(plan));
        digest = digest_f64(digest, plan->grad_norm);
        digest = digest_scalars(digest, plan);
    }
    lrc_plan_free(plan);

    for (int i = 0; i < TENSORS; i++) {
        digest = digest_word(digest, (uint64_t)x[i].t);
        digest = digest_array(digest, dtype, x[i].n, x[i].p);
        free(x[i].p);
        for (int j = 0; j < LRC_MAX_STATES; j++)
            if (x[i].state[j]) {
                digest = digest_array(digest, dtype, x[i].n, x[i].state[j]);
                free(x[i].state[j]);
            }
        free(x[i].work);
        free(memory[i]);
        free(numbers[i]);
    }
    return digest;
}

/* One run on each instruction set with each number of threads; they must agree. */
static uint64_t run_everywhere(runner *make, const job *j)
{
    uint64_t first = 0;
    lrc_set_parallel_from(0);
    for (int isa = 0; isa < lrc_isa_count(); isa++)
        for (int k = 0; k < THREADS; k++) {
            lrc_set_isa(lrc_isa_name(isa));
            lrc_set_num_threads(threads[k]);
            uint64_t digest = make(j);
            if (isa == 0 && k == 0)
                first = digest;
            if (digest != first) {
                fprintf(stderr, "digest: %s (%s): %s with %d threads differs from %s with %d\n",
                        lrc_rules[j->rule].name, j->name, lrc_isa_name(isa), threads[k],
                        lrc_isa_name(0), threads[0]);
                exit(1);
            }
        }
    return first;
}

/* Hyper-parameters by name: those that are optional are 0. Returns how many are. */
static int fill_hypers(int rule, double *h, int *optional)
{
    const char *name;
    size_t length;
    int count = 0;
    for (int i = 0; (name = name_at(lrc_rules[rule].hypers, i, &length)); i++)
        if (look_up(hypers, name, length)->optional)
            optional[count++] = i;
        else
            h[i] = look_up(hypers, name, length)->value;
    return count;
}

static void choose_hyper(int rule, double *h, int i, int on)
{
    size_t length;
    const char *name = name_at(lrc_rules[rule].hypers, i, &length);
    h[i] = on ? look_up(hypers, name, length)->value : 0;
}

/* Every choice of the optional hyper-parameters; none and all of them in all surroundings. */
static uint64_t rule_digest(int rule, int dtype)
{
    double h[LRC_MAX_HYPERS] = {0};
    int optional[LRC_MAX_HYPERS], count = fill_hypers(rule, h, optional);
    uint64_t digest = 0;
    for (int chosen = 0; chosen < 1 << count; chosen++) {
        for (int k = 0; k < count; k++)
            choose_hyper(rule, h, optional[k], chosen >> k & 1);
        int ends = chosen == 0 || chosen == (1 << count) - 1;
        for (int i = 0; i < (ends ? AROUND : 1); i++) {
            const job j = {
                .rule = rule, .dtype = dtype, .h = h, .name = around[i].name, .around = &around[i]};
            digest = digest_word(digest, run_everywhere(run_rule, &j));
        }
    }
    return digest;
}

static int takes_rows(int rule)
{
    const char *note = lrc_rules[rule].notes;
    for (; *note; note += strspn(note, " ")) {
        size_t length = strcspn(note, " ");
        if (length == 4 && strncmp(note, "rows", 4) == 0)
            return 1;
        note += length;
    }
    return 0;
}

/* The same for gradients of some rows. */
static uint64_t rows_digest(int rule, int dtype)
{
    double h[LRC_MAX_HYPERS] = {0};
    int optional[LRC_MAX_HYPERS], count = fill_hypers(rule, h, optional);
    for (int k = 0; k < count; k++)
        choose_hyper(rule, h, optional[k], 1);
    const job j = {
        .rule = rule, .dtype = dtype, .h = h, .name = some_rows.name, .around = &some_rows};
    return run_everywhere(run_rule, &j);
}

/* ---------------------------------------------------------------------------- storage
 *
 * All stages at once, under every way of storing parameters and some of storing state. */

typedef struct storage {
    const char *name;
    int dtype, master_kind;
} storage;

static const storage storages[] = {
    {"float32", LRC_F32, LRC_NO_MASTER},    {"float64", LRC_F64, LRC_NO_MASTER},
    {"float16", LRC_F16, LRC_NO_MASTER},    {"float16-master", LRC_F16, LRC_MASTER},
    {"bfloat16", LRC_BF16, LRC_NO_MASTER},  {"bfloat16-master", LRC_BF16, LRC_MASTER},
    {"bfloat16-split", LRC_BF16, LRC_SPLIT}};

enum { STORAGES = sizeof storages / sizeof *storages };

static const struct {
    int state_dtype, rounding;
} kept[] = {{LRC_F32, LRC_STOCHASTIC},
            {LRC_BF16, LRC_NEAREST},
            {LRC_BF16, LRC_STOCHASTIC},
            {LRC_Q8, LRC_NEAREST},
            {LRC_Q8, LRC_STOCHASTIC}};

enum { KEPT = sizeof kept / sizeof *kept };

/* Elements, and the units that agc sees in them: rows or columns. */
static const struct {
    int64_t n, units;
    int columns;
} sorts[] = {{1, 1, 0},     {129, 3, 0}, {0, 1, 0},      {7, 1, 0},       {1000, 10, 1},
             {1025, 25, 0}, {33, 11, 1}, {16390, 10, 0}, {8193, 2731, 1}, {2049, 683, 0}};

enum { PARTS = sizeof sorts / sizeof *sorts, STORED_STEPS = 5, REFUSED = 3 };

static int real_of(int dtype) { return dtype == LRC_F64 ? LRC_F64 : LRC_F32; }

static void *filled(int dtype, int64_t n, uint64_t *seed)
{
    void *x = allocate((size_t)n * size_of(dtype));
    for (int64_t i = 0; i < n; i++)
        put(x, dtype, i, 0, seed);
    return x;
}

/* Hyper-parameters that switch on a state which 8 bits must not hold ("mean:centered mean!"). */
static void switch_off(int rule, double *h)
{
    const lrc_rule_info *row = &lrc_rules[rule];
    for (const char *note = row->notes; *note; note += strspn(note, " ")) {
        size_t length = strcspn(note, " ");
        for (const char *other = row->notes; *other; other += strspn(other, " ")) {
            size_t size = strcspn(other, " "), name = strcspn(other, ":");
            if (name < size && name == length - 1 && note[name] == '!' &&
                strncmp(note, other, name) == 0)
                h[position(row->hypers, other + name + 1, size - name - 1)] = 0;
            other += size;
        }
        note += length;
    }
}

static lrc_tensor new_tensor(const job *j, int i, const beginnings *b, uint64_t *seed)
{
    int dtype = j->dtype, real = real_of(dtype);
    int64_t n = sorts[i].n;
    lrc_tensor x = {.p = filled(dtype, n, seed),
                    .n = n,
                    .dtype = dtype,
                    .group = i % GROUPS,
                    .state_dtype = b->factored ? LRC_REAL : j->state_dtype,
                    .master_kind = j->storage->master_kind,
                    .no_decay = i % 3 == 1,
                    .lr_scale = i % 4 == 2 ? 0.5 : 0,
                    .row = row_of(n),
                    .units = sorts[i].units,
                    .unit_columns = sorts[i].columns};
    shape(&x, b);
    for (int k = 0; k < LRC_MAX_STATES; k++) {
        if (!has_state(&x, b, k))
            continue;
        if (b->of_rows[k] || b->factored) {
            x.state[k] = new_array(real, n, b->state[k]);
            continue;
        }
        if (j->state_dtype == LRC_F32)
            x.state[k] = new_array(LRC_F32, n, b->state[k]);
        else
            x.state[k] = allocate((size_t)n * size_of(j->state_dtype));
        if (j->state_dtype == LRC_Q8)
            x.scale[k] = allocate((size_t)n / LRC_Q8_BLOCK + 1);
        if (b->there[k] && b->follows[k] && j->state_dtype == dtype)
            memcpy(x.state[k], x.p, (size_t)n * size_of(dtype));
    }
    memcpy(x.scalar, b->scalar, sizeof b->scalar);
    if (x.master_kind != LRC_NO_MASTER)
        x.master = filled(x.master_kind == LRC_MASTER ? LRC_F32 : LRC_BF16, n, seed);
    for (int k = 0; k < LRC_AVERAGES; k++)
        x.average[k] = filled(real, n, seed);
    x.sum = allocate((size_t)n * size_of(real));
    x.trace = allocate((size_t)n * size_of(real));
    x.work = work_of(j->rule, i, n);
    return x;
}

static uint64_t finish_tensor(uint64_t digest, lrc_tensor *x, const beginnings *b)
{
    int real = real_of(x->dtype);
    digest = digest_word(digest, (uint64_t)x->t);
    digest = digest_array(digest, x->dtype, x->n, x->p);
    digest = digest_array(digest, real, x->n, x->trace);
    for (int k = 0; k < LRC_MAX_STATES; k++) {
        if (x->state[k] && (b->of_rows[k] || b->factored))
            digest = digest_array(digest, real, x->n, x->state[k]);
        else if (x->state[k])
            digest = digest_array(digest, x->state_dtype, x->n, x->state[k]);
        if (x->scale[k])
            digest = digest_array(digest, LRC_Q8, (x->n + 127) / 128, x->scale[k]);
        free(x->state[k]);
        free(x->scale[k]);
    }
    if (x->master)
        digest = digest_array(digest, x->master_kind == LRC_MASTER ? LRC_F32 : LRC_REAL, x->n,
                              x->master);
    for (int k = 0; k < LRC_AVERAGES; k++) {
        digest = digest_array(digest, real, x->n, x->average[k]);
        free(x->average[k]);
    }
    free(x->p);
    free(x->master);
    free(x->sum);
    free(x->trace);
    free(x->work);
    return digest;
}

static void make_infinite(const lrc_tensor *x)
{
    static const double f64 = INFINITY;
    static const float f32 = INFINITY;
    static const uint16_t f16 = 0x7c00, bf16 = 0xff80;
    const void *inf = x->g_dtype == LRC_F64   ? (const void *)&f64
                      : x->g_dtype == LRC_F32 ? (const void *)&f32
                      : x->g_dtype == LRC_F16 ? (const void *)&f16
                                              : (const void *)&bf16;
    memcpy((char *)(uintptr_t)x->g, inf, size_of(x->g_dtype));
}

static uint64_t digest_stats(uint64_t digest, const lrc_stats *s)
{
    const double row[] = {s->grad2, s->param2,    s->step2, s->dot,  s->dot_grad2, s->trace2,
                          s->slope, s->nonfinite, s->lost,  s->clip, s->divisor};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        digest = digest_f64(digest, row[i]);
    return digest;
}

static void new_gradients(lrc_tensor *x, void *const *memory, int step, uint64_t *seed)
{
    static const int dtypes[] = {LRC_F32, LRC_F64, LRC_F16, LRC_BF16};
    for (int i = 0; i < PARTS; i++) {
        const surroundings lies = {.backwards = i % 3 == 0};
        x[i].g_dtype = dtypes[(i + step) % 4];
        new_gradient(&x[i], &lies, memory[i], 0, seed);
    }
}

static uint64_t run_stored(const job *j)
{
    uint64_t seed = 4, digest = 0;
    const beginnings b = beginnings_of(j->rule, j->h);
    void *memory[PARTS];
    lrc_tensor x[PARTS];
    lrc_group g[GROUPS] = {{.clip_value = 0.75, .clip_norm = 20, .agc = 0.05, .agc_eps = 1e-3},
                           {.agc = 0.1, .agc_eps = 0.5, .maximize = 1}};
    lrc_stats stats[PARTS];

    for (int i = 0; i < PARTS; i++) {
        x[i] = new_tensor(j, i, &b, &seed);
        memory[i] = allocate((size_t)sorts[i].n * 3 * sizeof(double));
    }
    for (int k = 0; k < GROUPS; k++) {
        memcpy(g[k].h, j->h, sizeof g[k].h);
        memcpy(g[k].scalar, b.scalar, sizeof b.scalar);
        g[k].rounding = j->rounding;
        g[k].select = k == 0 ? LRC_CAUTIOUS : LRC_GRAMS;
    }
    lrc_plan *plan = lrc_plan_new(j->rule, PARTS, x, GROUPS, g);
    if (!plan)
        fail("there is no memory", "lrc_plan_new");
    plan->clip_norm = 30;
    plan->nonfinite = LRC_SKIP;
    plan->zero_grads = 1;
    plan->loss_scale = 3;
    plan->seed = 0xfedcba9876543210u;
    plan->lookahead = 2;
    plan->lookahead_alpha = 0.5;
    plan->ema_decay = 0.9;
    plan->ema_warmup = 1;
    plan->swa_start = 2;
    plan->swa_every = 1;
    plan->stats = stats;
    plan->trace_every = j->rounding == LRC_STOCHASTIC ? 2 : 1;
    for (int t = 0; t < STORED_STEPS; t++) {
        for (int micro = 0; t == 1 && micro < 2; micro++) {
            new_gradients(x, memory, micro, &seed);
            if (micro)
                x[5].g = NULL;
            lrc_accumulate(plan);
        }
        new_gradients(x, memory, t, &seed); /* not looked at where sums wait */
        if (t == 2)
            x[4].g = x[7].g = NULL;
        if (t == REFUSED)
            make_infinite(&x[6]);
        plan->loss = 1.5 - t;
        digest = digest_word(digest, (uint64_t)lrc_step(plan));
        digest = digest_scalars(digest, plan);
        digest = digest_f64(digest, plan->grad_norm);
        digest = digest_f64(digest, g[0].grad_norm);
        if (t == REFUSED)
            digest = digest_word(digest, (uint64_t)plan->bad_tensor);
        for (int i = 0; i < PARTS; i++)
            digest = digest_stats(digest, &stats[i]);
    }
    lrc_plan_free(plan);

    for (int i = 0; i < PARTS; i++) {
        digest = finish_tensor(digest, &x[i], &b);
        digest = digest_array(digest, LRC_F64, sorts[i].n * 3, memory[i]);
        free(memory[i]);
    }
    return digest;
}

static uint64_t storage_digest(int rule, const storage *s)
{
    double h[LRC_MAX_HYPERS] = {0};
    int optional[LRC_MAX_HYPERS], count = fill_hypers(rule, h, optional);
    uint64_t digest = 0;
    for (int i = 0; i < KEPT; i++) {
        for (int k = 0; k < count; k++)
            choose_hyper(rule, h, optional[k], 1);
        if (kept[i].state_dtype == LRC_Q8)
            switch_off(rule, h);
        const job j = {.rule = rule,
                       .dtype = s->dtype,
                       .h = h,
                       .name = s->name,
                       .storage = s,
                       .state_dtype = kept[i].state_dtype,
                       .rounding = kept[i].rounding};
        digest = digest_word(digest, run_everywhere(run_stored, &j));
    }
    return digest;
}

/* ------------------------------------------------------------------------------ codecs
 *
 * Float32 of any size and bits through each format: as parameters beside a master that keeps them,
 * and as the state of a rule whose first step puts the gradient there. */

enum { SIZES = 256, CODED = SIZES * LRC_Q8_BLOCK };

/* Blocks for every exponent, each with smaller numbers in it; each tenth is close to a half. */
static void any_floats(float *x)
{
    uint64_t seed = 5;
    for (int i = 0; i < CODED; i++) {
        uint64_t choice = draw(&seed);
        int size = i / LRC_Q8_BLOCK - (int)(choice % 8 * (choice >> 3 & 3));
        uint32_t bits = (uint32_t)(choice >> 32) & 0x807fffffu;
        if (i % 10 == 3)
            bits = (bits & 0xffff8000u) + 0x8000u - (uint32_t)(choice >> 8) % 3 + 1;
        if (i % 10 == 6)
            bits = (bits & 0xfffff000u) + 0x1000u - (uint32_t)(choice >> 8) % 3 + 1;
        if (size == SIZES - 1 && i % 3 == 0) /* a NaN that rounding must not carry over */
            bits |= 0x7fffffu;
        bits = (bits & 0x807fffffu) | (uint32_t)(size > 0 ? size : 0) << 23;
        memcpy(&x[i], &bits, sizeof bits);
    }
}

static void set_master(lrc_tensor *t, const float *x)
{
    t->master = allocate((size_t)t->n * sizeof *x);
    if (t->master_kind == LRC_MASTER)
        memcpy(t->master, x, (size_t)t->n * sizeof *x);
    for (int64_t i = 0; t->master_kind == LRC_SPLIT && i < t->n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        ((uint16_t *)t->p)[i] = (uint16_t)(bits >> 16);
        ((uint16_t *)t->master)[i] = (uint16_t)(bits & 0xffffu);
    }
}

static uint64_t run_codec(const job *j)
{
    static float x[CODED], zero[CODED];
    uint64_t digest = 0;
    int as_state = j->storage->master_kind == LRC_NO_MASTER;
    lrc_tensor t = {.p = allocate(CODED * size_of(j->dtype)),
                    .g = as_state ? x : zero,
                    .g_dtype = LRC_F32,
                    .n = CODED,
                    .dtype = j->dtype,
                    .master_kind = j->storage->master_kind,
                    .state_dtype = j->state_dtype};
    lrc_group g = {.rounding = j->rounding};
    any_floats(x);
    if (as_state) {
        t.state[0] = allocate(CODED * size_of(j->state_dtype));
        t.scale[0] = j->state_dtype == LRC_Q8 ? allocate(SIZES) : NULL;
    } else
        set_master(&t, x);
    memcpy(g.h, j->h, sizeof g.h);
    lrc_plan *plan = lrc_plan_new(j->rule, 1, &t, 1, &g);
    if (!plan)
        fail("there is no memory", "lrc_plan_new");
    plan->nonfinite = LRC_IGNORE;
    for (int i = 0; i < 2; i++) {
        lrc_step(plan);
        digest = digest_array(digest, j->dtype, CODED, t.p);
        if (t.state[0])
            digest = digest_array(digest, j->state_dtype, CODED, t.state[0]);
        if (t.scale[0])
            digest = digest_array(digest, LRC_Q8, SIZES, t.scale[0]);
        if (t.master_kind == LRC_SPLIT)
            digest = digest_array(digest, LRC_REAL, CODED, t.master);
        t.g = zero;
    }
    lrc_plan_free(plan);
    free(t.p);
    free(t.state[0]);
    free(t.scale[0]);
    free(t.master);
    return digest;
}

static const struct {
    const char *name;
    int rule, state_dtype;
    storage storage[2];
} codecs[] = {
    {"float16", LRC_SGD, LRC_REAL, {{"float16", LRC_F16, LRC_MASTER}}},
    {"bfloat16", LRC_SGD, LRC_REAL, {{"bfloat16", LRC_BF16, LRC_MASTER}}},
    {"split", LRC_SGD, LRC_REAL, {{"bfloat16", LRC_BF16, LRC_SPLIT}}},
    {"bfloat16-state", LRC_SGD, LRC_BF16, {{"float32", LRC_F32, 0}, {"float64", LRC_F64, 0}}},
    {"int8-signed", LRC_SGD, LRC_Q8, {{"float32", LRC_F32, 0}, {"float64", LRC_F64, 0}}},
    {"int8-unsigned", LRC_ADAGRAD, LRC_Q8, {{"float32", LRC_F32, 0}, {"float64", LRC_F64, 0}}}};

static uint64_t codec_digest(size_t i)
{
    uint64_t digest = 0;
    double h[LRC_MAX_HYPERS] = {0};
    const char *hypers_of_rule = lrc_rules[codecs[i].rule].hypers;
    h[position(hypers_of_rule, "lr", 2)] = 1;
    if (codecs[i].state_dtype != LRC_REAL && codecs[i].rule == LRC_SGD)
        h[position(hypers_of_rule, "momentum", 8)] = 1;
    for (int k = 0; k < 2 && codecs[i].storage[k].name; k++)
        for (int rounding = LRC_NEAREST; rounding <= LRC_STOCHASTIC; rounding++) {
            const job j = {.rule = codecs[i].rule,
                           .dtype = codecs[i].storage[k].dtype,
                           .h = h,
                           .name = codecs[i].name,
                           .storage = &codecs[i].storage[k],
                           .state_dtype = codecs[i].state_dtype,
                           .rounding = rounding};
            digest = digest_word(digest, run_everywhere(run_codec, &j));
        }
    return digest;
}

/* -------------------------------------------------------------------------- schedules */

enum { TIMES = 20000, PLACES = 4 };

/* Positions, then one value more: what a schedule made of lists may ask for. */
static const double list[] = {40, 1000, 1001, 5500, 0.1, 0.25, 0.05, 0.3, 1e-4};

static double call(int64_t t, void *user)
{
    (void)user;
    return 1.0 / (double)(t + 1);
}

static uint64_t schedule_digest(int kind)
{
    static const lrc_schedule parts[PLACES + 1] = {
        {.kind = LRC_COSINE, .arg = {0.1, 900, 0.01}, .warmup = 20},
        {.kind = LRC_EXPONENTIAL, .arg = {0.1, 0.999}},
        {.kind = LRC_CONSTANT, .arg = {0.2}},
        {.kind = LRC_LINEAR, .arg = {0.3, 2000, 0}, .warmup = 500, .warmup_start = 0.1},
        {.kind = LRC_INVERSE_TIME, .arg = {0.1, 0.5, 100}}};
    static const lrc_schedule *const part[] = {&parts[0], &parts[1], &parts[2], &parts[3],
                                               &parts[4]};
    static const double warmups[] = {0, 1, 37};
    static int64_t t[TIMES];
    static double values[TIMES];
    const char *name;
    size_t length;
    uint64_t seed = 2, digest = 0;
    lrc_schedule s = {.kind = kind,
                      .count = PLACES,
                      .parts = PLACES + 1,
                      .warmup_start = 0.01,
                      .list = list,
                      .part = part,
                      .call = call};
    for (int i = 0; (name = name_at(lrc_schedules[kind].args, i, &length)); i++)
        s.arg[i] = look_up(arguments, name, length)->value;
    for (int i = 0; i < TIMES; i++)
        t[i] = i < TIMES / 2 ? i : (int64_t)(draw(&seed) >> 11 >> i % 40);
    for (size_t w = 0; w < sizeof warmups / sizeof *warmups; w++) {
        s.warmup = warmups[w];
        for (int k = 0; k < THREADS; k++) {
            lrc_set_num_threads(threads[k]);
            lrc_schedule_values(&s, TIMES, t, values);
            for (int i = 0; i < TIMES; i++)
                if (digest_f64(0, values[i]) != digest_f64(0, lrc_schedule_at(&s, t[i])))
                    fail("lrc_schedule_values differs from lrc_schedule_at",
                         lrc_schedules[kind].name);
        }
        digest = digest_array(digest, LRC_F64, TIMES, values);
    }
    return digest;
}

/* A warm-up in each shape. */
static uint64_t warmup_digest(int shape)
{
    lrc_schedule s = {.kind = LRC_CONSTANT,
                      .arg = {0.3},
                      .warmup = TIMES,
                      .warmup_start = 0.01,
                      .warmup_shape = shape};
    static double values[TIMES];
    for (int i = 0; i < TIMES; i++)
        values[i] = lrc_schedule_at(&s, i);
    return digest_array(0, LRC_F64, TIMES, values);
}

/* ------------------------------------------------------------------------------- math */

enum { POINTS = 100000 };

static double any_bits(uint64_t *seed)
{
    uint64_t bits = draw(seed);
    double x;
    if (bits % 8 == 0)
        return wild_f64[(bits >> 8) % WILD];
    bits = draw(seed);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double exp_at(int i, uint64_t *seed)
{
    return lrc_exp(i % 4 ? tame(seed) * (i % 3 ? 95.0 : 1.0) : any_bits(seed));
}

static double log_at(int i, uint64_t *seed)
{
    return lrc_log(i % 4 ? 8.0 + tame(seed) * (i % 3 ? 1.0 : 0x1p-10) : any_bits(seed));
}

static double pow_at(int i, uint64_t *seed)
{
    static const double betas[] = {0.9, 0.95, 0.99, 0.999, 0.9999};
    if (i % 4 == 0)
        return lrc_pow(betas[i / 4 % 5], i / 20.0);
    if (i % 4 == 1)
        return lrc_pow(betas[i / 4 % 5], i / 20); /* whole */
    double x = any_bits(seed), y = any_bits(seed), z = tame(seed);
    if (i % 4 == 2)
        return lrc_pow((z + 8.0) * 0.125, tame(seed) * 40.0);
    return lrc_pow(x, i % 8 == 3 ? y : (double)(i % 101 - 50));
}

static double cospi_at(int i, uint64_t *seed)
{
    return lrc_cospi(i % 4 ? tame(seed) * 0.125 : any_bits(seed));
}

static const struct {
    const char *name;
    double (*at)(int i, uint64_t *seed);
} functions[] = {{"exp", exp_at}, {"log", log_at}, {"pow", pow_at}, {"cospi", cospi_at}};

static uint64_t function_digest(double (*at)(int i, uint64_t *seed))
{
    uint64_t seed = 3, digest = 0;
    for (int i = 0; i < POINTS; i++)
        digest = digest_f64(digest, at(i, &seed));
    return digest;
}

/* ------------------------------------------------------------------------------------- */

int main(void)
{
    for (int isa = 0; isa < lrc_isa_count(); isa++)
        fprintf(stderr, "%s%s", isa ? " " : "instruction sets: ", lrc_isa_name(isa));
    fprintf(stderr, "\n");
    for (int rule = 0; rule < LRC_RULES; rule++)
        for (int dtype = LRC_F32; dtype <= LRC_F64; dtype++)
            printf("rule %s float%d %016llx\n", lrc_rules[rule].name, dtype == LRC_F32 ? 32 : 64,
                   (unsigned long long)rule_digest(rule, dtype));
    for (int rule = 0; rule < LRC_RULES; rule++)
        for (int dtype = LRC_F32; dtype <= LRC_F64 && takes_rows(rule); dtype++)
            printf("rows %s float%d %016llx\n", lrc_rules[rule].name, dtype == LRC_F32 ? 32 : 64,
                   (unsigned long long)rows_digest(rule, dtype));
    for (int rule = 0; rule < LRC_RULES; rule++)
        for (int i = 0; i < STORAGES; i++)
            printf("storage %s %s %016llx\n", lrc_rules[rule].name, storages[i].name,
                   (unsigned long long)storage_digest(rule, &storages[i]));
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
        printf("codec %s %016llx\n", codecs[i].name, (unsigned long long)codec_digest(i));
    for (int kind = 0; kind < LRC_SCHEDULES; kind++)
        printf("schedule %s %016llx\n", lrc_schedules[kind].name,
               (unsigned long long)schedule_digest(kind));
    for (int shape = 0; shape < 5; shape++)
        printf("warmup %d %016llx\n", shape, (unsigned long long)warmup_digest(shape));
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        printf("math %s %016llx\n", functions[i].name,
               (unsigned long long)function_digest(functions[i].at));
    return 0;
}
