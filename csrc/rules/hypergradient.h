/* What the rate learns from its hypergradient. Baydin, Cornish, Martinez Rubio, Schmidt & Wood 2018,
 * "Online Learning Rate Adaptation with Hypergradient Descent", with d the direction of the step
 * before and sums over each group:
 *
 *     eta = eta + hyper_lr <g, d>
 *     eta = eta (1 + hyper_lr <g, d> / (|g| |d|))      multiplicative
 *
 * What is kept is the factor, eta = factor lr, so that all that has been learned scales with a
 * schedule and with lr_scale. Measured are <g, d> and, for the
 * multiplicative form, <g, g> and <d, d>. */
static double learned(const hyper_t *h, const scalars_t *k)
{
    double eta = k->factor * h->lr;
    return eta >= h->floor ? eta : h->floor;
}

static void learn(const hyper_t *h, const lrc_seen *seen, scalars_t *k)
{
    double dot = seen->sum[0], norms = sqrt(seen->sum[1]) * sqrt(seen->sum[2]);
    double factor = k->begun != 0 ? k->factor : 1, least = h->lr > 0 ? h->floor / h->lr : 0;
    k->begun = 1;
    k->factor = factor;
    if (h->multiplicative != 0 && norms > 0)
        factor = factor * (1 + h->hyper_lr * (dot / norms));
    else if (h->multiplicative == 0 && h->lr > 0)
        factor = factor + (h->hyper_lr * dot) / h->lr;
    if (factor - factor == 0) /* not where a gradient was infinite */
        k->factor = factor;
    k->factor = k->factor >= least ? k->factor : least;
    k->eta = learned(h, k);
}

static void to_learn(const real *g, const real *d, int norms, factors_t *factors)
{
    const real *a = norms ? g : NULL, *b = norms ? d : NULL;
    factors[0] = (factors_t){g, d};
    factors[1] = (factors_t){a, a};
    factors[2] = (factors_t){b, b};
}
