/* What the runs of a rule have in common: what it keeps and starts at, gradients, and that every
 * instruction set and number of threads gives the same. */
#include "digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

beginnings beginnings_of(int rule, const double *h)
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

void *new_array(int dtype, int64_t n, double value)
{
    void *x = allocate((size_t)n * size_of(dtype));
    for (int64_t i = 0; i < n; i++)
        if (dtype == LRC_F32)
            ((float *)x)[i] = (float)value;
        else
            ((double *)x)[i] = value;
    return x;
}

void new_gradient(lrc_tensor *x, const surroundings *s, void *memory, int wild, uint64_t *seed)
{
    static int64_t shape[MOST_TENSORS], stride[MOST_TENSORS];
    static size_t next;
    int64_t gap = s->backwards ? 3 : 1, width = (int64_t)size_of(x->g_dtype);
    for (int64_t i = 0; i < x->n * gap; i++)
        put(memory, x->g_dtype, i, wild, seed);
    x->g = memory;
    x->g_ndim = 0;
    if (s->backwards && x->n) {
        int64_t *n = &shape[next % MOST_TENSORS], *step = &stride[next++ % MOST_TENSORS];
        *n = x->n;
        *step = -gap * width;
        x->g = (char *)memory + (x->n - 1) * gap * width;
        x->g_ndim = 1;
        x->g_shape = n;
        x->g_stride = step;
    }
}

int64_t row_of(int64_t n) { return n == 0 ? 0 : n % 5 == 0 ? 5 : n % 3 == 0 ? n / 3 : 1; }

void shape(lrc_tensor *x, const beginnings *b)
{
    int64_t n = b->factored ? x->n : 0;
    x->height = n % 5 == 0 ? n / 5 : n % 3 == 0 ? 3 : n % 16 == 0 ? 4 : n > 8192 ? 1 : 0;
    x->width = n % 5 == 0 ? 5 : n % 3 == 0 ? n / 3 : n % 16 == 0 ? 2 : x->height ? n : 0;
}

int has_state(const lrc_tensor *x, const beginnings *b, int k)
{
    return b->there[k] && (!b->factored || b->factor[k] == (x->height != 0));
}

uint64_t digest_scalars(uint64_t digest, const lrc_plan *plan)
{
    int scope = lrc_rules[plan->rule].scope;
    int own = scope == LRC_TENSOR || scope == LRC_FACTORED;
    for (int64_t i = 0; own && i < plan->n_tensors; i++)
        digest = digest_array(digest, LRC_F64, LRC_MAX_SCALARS, plan->tensors[i].scalar);
    for (int64_t k = 0; scope == LRC_GROUP && k < plan->n_groups; k++)
        digest = digest_array(digest, LRC_F64, LRC_MAX_SCALARS, plan->groups[k].scalar);
    return digest;
}

void *work_of(int rule, int i, int64_t n)
{
    int is_matrix = lrc_rules[rule].scope == LRC_MATRIX && i % 2;
    return is_matrix ? allocate((size_t)n * sizeof(double)) : NULL;
}

uint64_t run_everywhere(runner *make, const job *j)
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

int fill_hypers(int rule, double *h, int *optional)
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

void choose_hyper(int rule, double *h, int i, int on)
{
    size_t length;
    const char *name = name_at(lrc_rules[rule].hypers, i, &length);
    h[i] = on ? look_up(hypers, name, length)->value : 0;
}
